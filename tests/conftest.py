"""What every test may ask for."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout; the test skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real recordings are not here ({SHARED}); they are never part of the repository")
    return SHARED
