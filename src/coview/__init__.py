"""Learn and measure 3D human pose from several cameras. `docs/reference/map.md` says where everything lives."""

__version__ = "0.2.0.dev0"
