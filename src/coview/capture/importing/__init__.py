"""Stage 1: a session from files of others, whole or not at all."""
