"""DeepLabCut's and Lightning Pose's csv: three and four header rows, gaps, indices."""

import numpy as np
import pytest

from coview.formats.keypoints.deeplabcut import is_deeplabcut
from coview.formats.keypoints.files import is_keypoint_file, read_keypoint_file

NAMES = ["nose", "LeftEye"]


def single(rows, last="likelihood"):
    heads = [
        "scorer," + ",".join(["DLC_resnet50"] * 6),
        "bodyparts," + ",".join(name for name in NAMES for _ in range(3)),
        "coords," + ",".join(["x", "y", last] * 2),
    ]
    return "\n".join([*heads, *rows]) + "\n"


def write(tmp_path, text):
    path = tmp_path / "cam1DLC_resnet50.csv"
    path.write_text(text)
    return path


def test_one_person(tmp_path):
    path = write(tmp_path, single(["0,1,2,0.5,3,4,0.6", "1,,,,,,", "2,5,6,0.9,,,"]))
    assert is_keypoint_file(path)
    view = read_keypoint_file(path)
    assert (tuple(view.points.shape), view.joint_names) == ((3, 1, 2, 3), ("nose", "LeftEye"))
    assert view.points[0, 0].tolist() == [[1, 2, 0.5], [3, 4, pytest.approx(0.6)]]
    assert view.points[1].isnan().all()
    assert view.points[2, 0, 1, :2].isnan().all()
    assert view.lists_empty


def test_visibility_of_labels(tmp_path):
    """Lightning Pose's labels say 0, 1 or 2 for visible."""
    view = read_keypoint_file(write(tmp_path, single(["0,1,2,2,3,4,1"], "visible")))
    assert view.points[0, 0, :, 2].tolist() == [1, 0.5]


def test_several_individuals(tmp_path):
    heads = [
        "scorer,,," + ",".join(["s"] * 14),
        "individuals,,," + ",".join(["ann"] * 6 + ["bob"] * 6 + ["single"] * 2),
        "bodyparts,,," + ",".join([*[n for n in NAMES for _ in range(3)] * 2, "ball", "ball"]),
        "coords,,," + ",".join(["x", "y", "likelihood"] * 4 + ["x", "y"]),
    ]
    rows = [f"labeled-data,walk,img{n:03d}.png," + ",".join(map(str, range(n, n + 14))) for n in (12, 14)]
    view = read_keypoint_file(write(tmp_path, "\n".join([*heads, *rows])))
    assert (view.first, tuple(view.points.shape)) == (12, (3, 2, 2, 3))
    assert view.points[0, 1, 0].tolist() == [18, 19, 20]


def test_without_confidences(tmp_path):
    text = "scorer,s,s\nbodyparts,nose,nose\ncoords,x,y\n0,3,4\n"
    assert read_keypoint_file(write(tmp_path, text)).points[0, 0, 0].tolist() == [3, 4, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (single(["0,1,2,0.5,3"]), r"csv, line 4: not 7 cells"),
        (single(["0,1,2,0.5,3,x,1"]), r"csv, line 4: 'x' is no number"),
        (single([]), "no row `coords` with frames below"),
        (single(["0,,,,,,"]), "nobody is in any of the 1 frames"),
        (single(["0,1,2,3,4,5,6"], "z"), r"column `z` of `nose`"),
        ("scorer,s\nanimals,a\ncoords,x\n0,1\n", "header rows scorer, animals, coords"),
    ],
)
def test_messages(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_keypoint_file(write(tmp_path, text))


def test_other_tables_are_left_alone(tmp_path):
    assert not is_deeplabcut("frame,x,y\n0,1,2\n")
    assert not is_deeplabcut("")
    assert not is_keypoint_file(write(tmp_path, "cam_id,frame_time\n0,0.1\n"))


def test_rows_are_counted_where_the_index_is_no_number(tmp_path):
    view = read_keypoint_file(write(tmp_path, single(["a,1,2,1,3,4,1", "b,1,2,1,3,4,1"])))
    assert (view.first, len(view.points)) == (0, 2)
    assert np.isfinite(view.points.numpy()).all()
