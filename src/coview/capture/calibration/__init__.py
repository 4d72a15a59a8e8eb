"""Stage 2: cameras of a session, from people or from a file."""
