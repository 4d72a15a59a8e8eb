"""A camera goes to its table and back."""

from pathlib import Path

import pytest

from coview.formats.session.session_camera import SessionCamera, camera_from_table, camera_to_table


@pytest.mark.parametrize(
    "camera",
    [
        SessionCamera("a", (640, 480), Path("/s/videos/a.mp4"), 9, -3, True),
        SessionCamera("b 2", None, None, 0),
    ],
)
def test_round_trip(camera):
    assert camera_from_table(camera_to_table(camera, Path("/s")), Path("/s")) == camera


def test_a_table_of_coview_0_1():
    old = {"name": "a", "size": [640, 480], "video": "videos/a.mp4", "frames": 9}
    assert camera_from_table(old, Path("/s")) == SessionCamera("a", (640, 480), Path("/s/videos/a.mp4"), 9)
