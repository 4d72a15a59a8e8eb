"""Commands. Each is a function; tyro turns its signature into flags and its docstring into help."""
