"""Stage 3: 3D joints in metres with a covariance each, and their refinement over time."""
