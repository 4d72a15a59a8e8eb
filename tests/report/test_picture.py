import cv2
import numpy as np
import pytest

from coview.report.colours import CAMERA, CANVAS
from coview.report.picture import session_picture


def test_the_picture_has_views_and_a_scene(session, tmp_path):
    target = session_picture(session, 20, tmp_path / "out.png")
    picture = cv2.imread(str(target))[..., ::-1].astype(int)
    assert picture.shape[1] > 1200
    left, right = picture[:, : picture.shape[1] // 3], picture[:, picture.shape[1] // 2 :]
    assert (np.abs(left - CANVAS).max(axis=-1) < 5).mean() > 0.4
    assert (np.abs(right - CAMERA).max(axis=-1) < 40).sum() > 300
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_a_frame_is_chosen_and_the_session_holds_the_picture(new_session):
    session = new_session()
    assert session_picture(session.path) == session.path / "picture.png"


def test_a_frame_that_is_not_there_and_a_session_without_3d(session, new_session):
    with pytest.raises(ValueError, match="frame 40 is not in 0 to 39"):
        session_picture(session, 40)
    with pytest.raises(ValueError, match=r"needs 3D joints and cameras.*coview reconstruct"):
        session_picture(new_session(reconstructed=False))
