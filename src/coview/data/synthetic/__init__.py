"""Generated recordings: people who move, cameras, a detector with stated errors, boards."""
