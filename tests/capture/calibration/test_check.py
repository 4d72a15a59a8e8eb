"""Cameras judged by the joints that they saw: right ones fit, wrong ones are named."""

from dataclasses import replace

import pytest
import torch

from coview.capture.calibration.check import check_calibration
from coview.formats.calibration.calibration import read_calibration


@pytest.fixture(scope="module")
def real(shared_data):
    folder = shared_data / "pose2sim_single"
    return read_calibration(folder / "calibration" / "Calib.qca.txt"), folder / "balancing"


def moved(calibration, change):
    poses = calibration.cameras.cam_from_world.clone()
    change(poses)
    return replace(calibration, cameras=replace(calibration.cameras, cam_from_world=poses))


def test_the_right_cameras_fit(real):
    calibration, recording = real
    checked = check_calibration(calibration, recording)
    assert checked.problem == ""
    assert checked.in_front > 0.95
    assert all(fit.median_px < 30 for fit in checked.fits)


def transposed(poses):
    poses[:, :, :3] = poses[:, :, :3].mT.clone()


def one_moved(poses):
    poses[0, 0, 3] += 0.3


@pytest.mark.parametrize(
    ("change", "words"), [(transposed, "agrees on"), (one_moved, "camera 'cam01' agrees on")]
)
def test_wrong_cameras_are_named(real, change, words):
    calibration, recording = real
    assert words in check_calibration(moved(calibration, change), recording).problem


def test_cameras_the_other_way_round(real):
    calibration, recording = real

    def backward(poses):
        poses[:, 1:] *= -1

    assert "in front of the cameras" in check_calibration(moved(calibration, backward), recording).problem


def test_exchanged_cameras(real):
    calibration, recording = real
    exchanged = replace(calibration, cameras=calibration.cameras[torch.tensor([1, 2, 3, 0])])
    assert check_calibration(exchanged, recording).problem


def test_lenses_alone_cannot_be_checked(real):
    with pytest.raises(ValueError, match="intrinsics only, so there is nothing to project"):
        check_calibration(real[0].without_extrinsics(), real[1])
