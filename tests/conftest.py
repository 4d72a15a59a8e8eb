"""What every test may ask for, and that every test draws the same random numbers whenever and wherever it runs."""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import register_random, settings

from coview.data.synthetic.recordings import ring_cameras

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

# Property tests try the same examples in every run; HYPOTHESIS_PROFILE=nightly tries others each time and prints
# how to get a failing one back. No profile has a deadline: speed is no matter of tests.
settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "reproducible"))


class TorchGenerator:
    """torch's global generator, with the methods by which hypothesis begins every example at the same state."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


_TORCH = TorchGenerator()  # hypothesis keeps a weak reference only
register_random(_TORCH)


def seed_all() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the legacy global generator is what must not differ from run to run
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Global generators begin every test at the same state, whatever ran before it."""
    seed_all()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """The same for fixtures of modules and sessions, which are made before `seeded`."""
    if fixturedef.scope != "function":
        seed_all()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout; the test skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real recordings are not here ({SHARED}); they are never part of the repository")
    return SHARED


# --- a made-up Human3.6M -----------------------------------------------------------------------------

_STANDING = (  # LEARNABLE_17, millimetres, hip centre at the origin, z up
    "-120 0 -880  -120 20 -440  -120 0 0  120 0 0  120 20 -440  120 0 -880  0 0 0  0 0 250  0 0 500  0 0 760 "
    "-400 150 60  -300 0 240  -180 0 480  180 0 480  300 0 240  400 150 60  0 90 600"
)
_CAMERA = np.dtype([("R", "f4", (3, 3)), ("t", "f4", (3, 1)), ("K", "f4", (3, 3)), ("dist", "f4", (5,))])
_ROW = np.dtype(
    [
        ("subject_idx", "i1"),
        ("action_idx", "i1"),
        ("frame_idx", "i2"),
        ("keypoints", "f4", (17, 3)),
        ("bbox_by_camera_tlbr", "i2", (4, 4)),
    ]
)


@pytest.fixture(scope="session")
def human36m_content() -> dict[str, Any]:
    """What a label file of Learnable Triangulation's authors holds: S1 and S9, one action, three frames each.

    Millimetres; the lens has strong tangential distortion; camera 54138969 did not see the last instant."""
    ring = ring_cameras(4, radius=5.0, height=1.5)
    cameras = np.zeros((2, 4), dtype=_CAMERA)
    cameras["R"] = ring.rotation.numpy()
    cameras["t"] = ring.translation.numpy()[..., None] * 1000
    cameras["K"] = [[1145, 0, 512], [0, 1143, 515], [0, 0, 1]]
    cameras["dist"] = (-0.2, 0.24, 0.02, -0.03, -0.003)
    table = np.zeros(6, dtype=_ROW)
    table["subject_idx"] = [0, 0, 0, 1, 1, 1]
    table["frame_idx"] = [0, 5, 10, 0, 5, 10]
    moved = np.array([[400, -300, 900], [-500, 200, 920], [100, 600, 910]] * 2, dtype=np.float32)
    table["keypoints"] = np.array(_STANDING.split(), dtype=np.float32).reshape(17, 3) + moved[:, None]
    world = torch.from_numpy(table["keypoints"][:, None] / 1000)  # rows, 1, joints, 3
    flat = world @ ring.rotation.mT + ring.translation[:, None]
    pixels = (flat[..., :2] / flat[..., 2:] * 1144 + torch.tensor([512, 515])).numpy()
    middle = (pixels.max(2) + pixels.min(2)) // 2
    half = (pixels.max(2) - pixels.min(2)).max(-1) // 2 + 30
    left_top, right_bottom = middle - half[..., None], middle + half[..., None] + 1
    table["bbox_by_camera_tlbr"] = np.concatenate([left_top[..., ::-1], right_bottom[..., ::-1]], axis=-1)
    table["bbox_by_camera_tlbr"][5, 0] = 0
    return {
        "subject_names": ["S1", "S9"],
        "camera_names": ["54138969", "55011271", "58860488", "60457274"],
        "action_names": ["Walking-1"],
        "cameras": cameras,
        "table": table,
    }


@pytest.fixture(scope="session")
def human36m_npy(tmp_path_factory: pytest.TempPathFactory, human36m_content: dict[str, Any]) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("labels") / "labels.npy"
    np.save(path, np.array(human36m_content, dtype=object))
    return path
