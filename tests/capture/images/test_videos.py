"""Videos that do not belong to the session are refused by name."""

from dataclasses import replace

import pytest

from coview.capture.images.videos import session_videos


@pytest.fixture(scope="module")
def session(film, tmp_path_factory):
    return film.session(tmp_path_factory.mktemp("videos") / "s", frames=4)[0]


def with_camera(session, **changes):
    return replace(session, cameras=(replace(session.cameras[0], **changes), *session.cameras[1:]))


def test_all_are_there(session):
    assert [path.name for path in session_videos(session)] == [
        "north.mov",
        "east.mov",
        "south.mov",
        "west.mov",
    ]
    assert session_videos(with_camera(session, frames=6, size=None))  # an encoder may lose two frames
    assert session_videos(with_camera(session, frames=1))


def test_messages(session, tmp_path):
    with pytest.raises(ValueError, match=r"no video is known of north.*--method detections"):
        session_videos(with_camera(session, video=None))
    with pytest.raises(
        FileNotFoundError, match=r"camera 'north': the video .*gone.mov is not there any more"
    ):
        session_videos(with_camera(session, video=tmp_path / "gone.mov"))
    with pytest.raises(
        ValueError, match=r"'north': .*north.mov shows 480×400 pixels, and the session was made of 9×9"
    ):
        session_videos(with_camera(session, size=(9, 9)))
    with pytest.raises(ValueError, match=r"'north': .*has 4 frames and the session 7 frames"):
        session_videos(with_camera(session, frames=7))
