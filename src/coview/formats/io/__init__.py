"""Reading and writing files: atomic, checked, and safe with files of unknown origin."""
