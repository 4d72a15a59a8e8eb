"""Training: recipes, runs, checkpoints, evaluation and prediction."""
