"""Labels that the views of training data determine by themselves."""
