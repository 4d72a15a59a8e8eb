"""True of points, whoever they belong to: tensors in, tensors out."""
