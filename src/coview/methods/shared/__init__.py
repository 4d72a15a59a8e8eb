"""What several methods build on; the papers are one folder up."""
