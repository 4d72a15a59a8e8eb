"""What is true of human bodies: proportions, stature, gravity, pose priors, generated motion."""
