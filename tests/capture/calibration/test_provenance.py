"""What a calibration from people says of itself, where no lens is known and lenses are bent."""

from dataclasses import replace

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.capture.calibration.from_people import calibrate_from_people
from coview.data.synthetic.recordings import ring_cameras
from coview.formats.calibration.calibration import read_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import H36M_17

NAMES = ("a", "b", "c")
FRAMES, K1 = 300, -0.15


@pytest.fixture(scope="module")
def bent(tmp_path_factory):
    """A walk seen by cameras with barrel distortion, of which nothing but the image size is known."""
    path = tmp_path_factory.mktemp("bent") / "session"
    ring = ring_cameras(3, radius=3.5, height=1.9, start_angle=0.3).to(torch.float64)
    distortion = torch.tensor([[K1] + [0.0] * 7], dtype=torch.float64).repeat(3, 1)
    truth = replace(ring, distortion=distortion)
    joints = random_motion(FRAMES, fps=50.0, seed=1, kind="gait").double()
    pixels = truth.project(joints[:, None]).transpose(0, 1)[:, :, None]
    pixels = pixels + 2 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    write_detections(path / "joints2d", NAMES, Detections(pixels.float(), torch.ones(pixels.shape[:-1])))
    width, height = (int(side) for side in truth.size[0])
    cameras = tuple(SessionCamera(name, (width, height), None, FRAMES) for name in NAMES)
    Session(path, "bent", 50.0, H36M_17, cameras, {}).save()
    return path, truth


def test_bent_lenses_are_found_and_said(bent):
    path, truth = bent
    done = calibrate_from_people(Session.load(path), stature=1.7)
    cameras, told = done.calibration.cameras, done.calibration.provenance
    assert (cameras.distortion[:, 0] - K1).abs().max() < 0.02
    assert (cameras.focal / truth.focal - 1).abs().max() < 0.03
    assert told["distortion"].startswith("k1 found, one change for all: a -0.1")
    assert told["tests"].startswith("distortion as given: p = ")
    assert set(done.calibration.sigma) == set(done.calibration.focal_sigma) == set(NAMES)
    written = read_calibration(path / "calibration.toml")
    torch.testing.assert_close(written.cameras.distortion, cameras.distortion, rtol=1e-6, atol=1e-9)


def test_distortion_may_be_left_alone(bent):
    path, _truth = bent
    done = calibrate_from_people(Session.load(path), stature=1.7, distortion="fixed")
    assert not done.calibration.cameras.distortion.any()
    assert done.calibration.provenance["distortion"] == "as given"
