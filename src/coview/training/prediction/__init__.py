"""3D from one camera with a finished run."""
