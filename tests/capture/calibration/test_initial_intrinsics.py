from dataclasses import replace

import pytest

from coview.capture.calibration.initial_intrinsics import guessed_intrinsics
from coview.formats.session.session import Session, SessionCamera
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.skeletons import H36M_17


def session(tmp_path, *sizes):
    cameras = tuple(SessionCamera(f"cam_{i}", size, None, 10) for i, size in enumerate(sizes))
    return Session(tmp_path, "take", 50.0, H36M_17, cameras)


def test_a_guessed_lens_has_its_middle_in_the_middle(tmp_path):
    cameras = guessed_intrinsics(session(tmp_path, (1920, 1080), (1080, 1920))).cameras
    assert cameras.principal_point.tolist() == [[959.5, 539.5], [539.5, 959.5]]
    assert cameras.focal.unique().tolist() == [1920.0]
    assert (cameras.distortion == 0).all()
    assert cameras.cam_from_world.isnan().all()


def test_without_a_size_nothing_can_be_guessed(tmp_path):
    unknown = session(tmp_path, (1920, 1080), None)
    with pytest.raises(NotDeterminedError, match=r"camera cam_1.*--intrinsics CALIBRATION"):
        guessed_intrinsics(unknown)
    assert guessed_intrinsics(replace(unknown, cameras=unknown.cameras[:1])).names == ("cam_0",)
