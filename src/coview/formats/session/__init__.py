"""The session folder: cameras, recording, people, and tracks on one clock."""
