"""The drawings' data: what the script will read is what was measured."""

import base64
import json
import re
from importlib.resources import files

import numpy as np
import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.data.synthetic.recordings import ring_cameras
from coview.report.prediction_viewer import (
    MOST_FRAMES,
    UNKNOWN,
    Drawn,
    drawing_data,
    packed,
    sampled,
    viewer,
)
from coview.skeletons import H36M_17


@pytest.fixture(scope="module")
def world():
    points = random_motion(30, seed=4)
    return points - points[:, :1]


def a_drawing(world, camera="cam") -> Drawn:
    turn = ring_cameras(3).rotation[1]
    points = 0.3 * world @ turn.mT  # right, in another size
    points[4] = torch.nan
    return Drawn(camera, points, world @ turn.mT, turn, 0.5)


def unpacked(text, joints=17):
    return np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, joints, 3)


def test_both_poses_come_in_world_axes_and_metres(world):
    data = drawing_data([a_drawing(world)], H36M_17, 25.0)
    np.testing.assert_allclose(unpacked(data["reconstruction"]), 1000 * world.numpy(), atol=0.51)
    (camera,) = data["cameras"]
    known = np.arange(30) != 4
    np.testing.assert_allclose(unpacked(camera["points"])[known], 1000 * world.numpy()[known], atol=1.1)
    assert (unpacked(camera["points"])[4] == UNKNOWN).all()
    assert camera["errors"][4] is None
    assert {error for frame, error in enumerate(camera["errors"]) if frame != 4} == {0}
    assert data["seconds"] == pytest.approx(0.04)


def test_what_cannot_be_drawn_does_not_overflow():
    points = torch.tensor([[[0.001, -50.0, torch.nan], [1.0, 2.0, 3.0]]])
    np.testing.assert_array_equal(unpacked(packed(points), 2), [[[1, -32767, UNKNOWN], [1000, 2000, 3000]]])


def test_long_recordings_are_sampled_to_their_end():
    frames = sampled(10_000)
    assert len(frames) <= MOST_FRAMES
    assert frames[-1] > 10_000 - 2 * (frames[1] - frames[0])
    assert sampled(3) == [0, 1, 2]


def test_names_cannot_end_the_script(world):
    document = viewer([a_drawing(world, "</script><b>")], H36M_17, None)
    assert document.count("</script>") == 1
    assert "<b>" not in document
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', document)
    assert json.loads(data)["cameras"][0]["name"] == "</script><b>"


def test_the_script_asks_nobody():
    words = (files("coview.report") / "templates" / "predictions.js").read_text()
    assert not re.search(r"fetch|XMLHttpRequest|import|https?:", words)
