"""Most of the search is tested with the stage (test_reconstruct_images.py); here, what it keeps."""

import torch

from coview.capture.images.inference import load_if_current
from coview.formats.motion.poses3d import Poses3D
from coview.skeletons import Skeleton

POINT = Skeleton("point", ("pelvis",), (), "pelvis")


def test_a_file_made_with_the_same_settings_is_taken(tmp_path):
    path = tmp_path / "a.npz"
    assert load_if_current(path, {}) is None
    Poses3D(torch.zeros(2, 1, 3), None, None, None, 25.0, POINT, {"trust": "0.3", "more": "x"}).save(path)
    assert load_if_current(path, {"trust": "0.3"}) is not None
    assert load_if_current(path, {"trust": "0.4"}) is None
    assert load_if_current(path, {"trust": "0.3", "other": "y"}) is None
