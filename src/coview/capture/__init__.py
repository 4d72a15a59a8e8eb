"""The stages on a session: import, calibrate, reconstruct, export."""
