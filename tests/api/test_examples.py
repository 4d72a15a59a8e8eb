import numpy as np
import pytest
import torch

import coview


def test_example_cameras_look_at_the_middle():
    cameras = coview.example_cameras(5)
    np.testing.assert_allclose(
        coview.project(cameras, [[0.0, 0.0, 1.0]]), np.full((5, 1, 2), 499.5), atol=1e-3
    )
    with pytest.raises(coview.CoviewError):
        coview.example_cameras(0)


def test_an_example_session_can_be_calibrated_from_the_start(tmp_path):
    plain = coview.example_session(tmp_path / "a", minutes=0.05)
    assert not plain.calibration_path.exists()
    known = coview.example_session(str(tmp_path / "b"), minutes=0.05, calibrated=True)
    assert known.calibration().has_extrinsics
    first, again = plain.joints2d()[0], known.joints2d()[0]
    assert torch.equal(torch.from_numpy(first).nan_to_num(), torch.from_numpy(again).nan_to_num())
