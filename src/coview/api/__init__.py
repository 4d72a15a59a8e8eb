"""What `import coview` offers: one module per subject; `coview/__init__.py` says which name comes from where.

Functions on arrays take NumPy arrays, torch tensors and nested lists, and answer in the kind that came in (`arrays`);
they check every shape when they are called and name the axes that they expect (`axes`).
"""
