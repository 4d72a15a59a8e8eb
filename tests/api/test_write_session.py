"""Sessions from arrays: `Session.from_arrays`."""

import numpy as np
import pytest

import coview
from coview.body.procedural_motion import random_motion
from coview.errors import InputError, OccupiedError


def test_from_arrays_and_back(tmp_path):
    pixels = np.random.default_rng(0).uniform(0, 1000, size=(30, 3, 17, 2))
    pixels[3, 1, 4] = np.nan
    confidence = np.random.default_rng(1).uniform(0.1, 1, size=(30, 3, 17))
    names = ["left", "middle", "right"]
    made = coview.Session.from_arrays(
        tmp_path / "a",
        pixels,
        confidence,
        fps=50,
        skeleton="coco_17",
        image_size=(1000, 800),
        camera_names=names,
    )
    assert made.camera_names == ("left", "middle", "right")
    assert made.sizes == ((1000, 800),) * 3
    back, sure = coview.Session.open(made.path).joints2d()
    np.testing.assert_allclose(back, pixels, rtol=1e-6)
    assert sure[3, 1, 4] == 0
    np.testing.assert_allclose(sure[4:], confidence[4:], rtol=1e-6)
    with pytest.raises(OccupiedError, match="already holds a session"):
        coview.Session.from_arrays(tmp_path / "a", pixels, fps=50, skeleton="coco_17")


def test_from_arrays_with_cameras(tmp_path):
    cameras = coview.example_cameras(4)
    joints = random_motion(20, seed=0).numpy().astype(np.float64)
    pixels = coview.project(cameras, joints)
    made = coview.Session.from_arrays(tmp_path / "a", pixels, fps=25, skeleton="h36m_17", calibration=cameras)
    made.calibrate("file")
    made.reconstruct(max_gap=0)
    np.testing.assert_allclose(made.joints3d(), joints, atol=2e-3)


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((30, 17, 4, 2), {"camera_names": "abcd"}, "^pixels: .*views and joints are swapped"),
        ((30, 4, 16, 2), {}, r"^pixels: expected .*joints=17, 2\), got \(30, 4, 16, 2\)"),
        ((4, 17, 2), {}, "^pixels: .*it has 3 axes"),
        ((2, 30, 4, 17, 2), {}, r"^pixels: expected \(frames, views, joints, 2\), got .*it has 5 axes"),
        ((30, 4, 17, 2), {"calibration": coview.example_cameras(3)}, "views=3"),
        ((30, 4, 17, 2), {"image_size": [[1, 1]] * 3}, "^image_size: "),
        ((30, 4, 17, 2), {"confidence": np.ones((30, 17, 4))}, "^confidence: "),
    ],
)
def test_wrong_arrays_are_named(tmp_path, shape, options, words):
    with pytest.raises(InputError, match=words):
        coview.Session.from_arrays(tmp_path / "a", np.zeros(shape), fps=25, skeleton="coco_17", **options)
    assert not (tmp_path / "a").exists()
