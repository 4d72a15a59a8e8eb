"""EasyMocap's `annots/<camera>/000000.json`."""

import json

import pytest

from coview.formats.keypoints.easymocap import easymocap_people
from coview.formats.keypoints.sources import sources_in


def frame(people=1):
    one = {"bbox": [0, 0, 9, 9, 1], "personID": 0, "keypoints": [[1.0, 2.0, 0.5]] * 25, "isKeyframe": False}
    return {"filename": "images/1/0.jpg", "height": 480, "width": 640, "annots": [one] * people}


def test_a_folder_per_camera(tmp_path):
    for camera in ("1", "2"):
        (tmp_path / camera).mkdir()
        for n in range(3):
            (tmp_path / camera / f"{n:06d}.json").write_text(json.dumps(frame(people=n)))
    found = sources_in(tmp_path)
    assert list(found) == ["1", "2"]
    view = found["1"].read()
    assert (tuple(view.points.shape), view.size) == ((3, 2, 25, 3), (640, 480))
    assert view.points[0].isnan().all()
    assert view.lists_empty


def test_a_damaged_frame_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"0.json: no list `annots` of people"):
        easymocap_people({"annots": [3]}, tmp_path / "0.json")
    with pytest.raises(ValueError, match=r"0.json: a person should be a list"):
        easymocap_people({"annots": [{"keypoints": [[1, 2]]}]}, tmp_path / "0.json")
