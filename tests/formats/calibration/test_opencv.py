"""OpenCV YAML under its many names, a stereo pair, JARVIS' transposed matrices; damaged files."""

import numpy as np
import pytest

from coview.formats.calibration.registry import read_calibration_file

MONO = """%YAML:1.0
---
image_width: 1280
image_height: 720
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1000., 0., 640., 0., 1001., 360., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ 0.1, 0.2, 0.3, 0.4, 0.5 ]
"""


def matrix(key, rows):
    data = ", ".join(str(float(v)) for v in np.ravel(rows))
    return f"{key}: !!opencv-matrix\n   rows: {len(rows)}\n   cols: {len(rows[0])}\n   dt: d\n   data: [ {data} ]\n"


K = [[1000, 0, 640], [0, 1001, 360], [0, 0, 1]]
TURN = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter turn about z


def read(tmp_path, text, name="left.yml"):
    (tmp_path / name).write_text(text)
    return read_calibration_file(tmp_path / name)


def test_one_camera(tmp_path):
    [found] = read(tmp_path, MONO).cameras
    assert (found.name, found.size, found.fisheye) == ("left", (1280, 720), False)
    np.testing.assert_array_equal(found.matrix, K)
    assert found.distortions == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert found.rotation is None


def test_a_folder_of_cameras_in_natural_order(tmp_path):
    for name in ("cam10", "cam2"):
        (tmp_path / f"{name}.yml").write_text(
            MONO + matrix("R", TURN) + matrix("T", [[1], [2], [3]]) + "units: mm\n"
        )
    found = read_calibration_file(tmp_path)
    assert [camera.name for camera in found.cameras] == ["cam2", "cam10"]
    assert found.units == "mm"
    np.testing.assert_array_equal(found.cameras[0].rotation, TURN)


def test_a_stereo_pair(tmp_path):
    text = "%YAML:1.0\n---\n" + matrix("K1", K) + matrix("D1", [[0.1, 0, 0, 0, 0]]) + matrix("K2", K)
    text += matrix("D2", [[0.2, 0, 0, 0, 0]]) + matrix("R", TURN) + matrix("T", [[-0.5], [0], [0]])
    found = read(tmp_path, text)
    first, second = found.cameras
    np.testing.assert_array_equal(first.rotation, np.eye(3))
    np.testing.assert_array_equal(second.rotation, TURN)
    np.testing.assert_array_equal(second.translation, [-0.5, 0, 0])
    assert (first.distortions[0], second.distortions[0]) == (0.1, 0.2)
    assert "cam_1 and cam_2" in found.notes[0]


def test_jarvis_is_transposed(tmp_path):
    text = "%YAML:1.0\n---\n" + matrix("intrinsicMatrix", np.transpose(K)) + matrix("R", np.transpose(TURN))
    text += matrix("T", [[10], [20], [3000]]) + matrix("distortionCoefficients", [[0.1, 0.2, 0, 0, 0]])
    [found] = read(tmp_path, text, "Camera_T.yaml").cameras
    # by hand: X = (1, 2, 0) in pixels ~ ([X 1] [R; T] K): MATLAB's row form
    row = np.array([1.0, 2, 0, 1]) @ np.vstack([np.transpose(TURN), [10, 20, 3000]]) @ np.transpose(K)
    ours = found.matrix @ (found.rotation @ [1.0, 2, 0] + found.translation)
    np.testing.assert_allclose(ours, row)


def test_zero_padding_of_opencv_is_dropped_and_more_is_refused(tmp_path):
    padded = MONO.replace("rows: 5", "rows: 14").replace("0.5 ]", "0.5" + ", 0." * 9 + " ]")
    assert len(read(tmp_path, padded).cameras[0].distortions) == 8
    with pytest.raises(ValueError, match=r"14 distortion coefficients, .*at most 8 .*thin-prism"):
        read(tmp_path, padded.replace("0. ]", "0.7 ]"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%YAML:1.0\n---\nfoo: 1\n", "holds no camera matrix under a name .* Its names are: foo"),
        (MONO + matrix("R", TURN), "left.yml: camera 'left': the translation T is missing"),
        (MONO + matrix("T", [[1], [2], [3]]), "the rotation R is missing. Give both"),
        ("%YAML:1.0\n---\n" + matrix("K1", K), r"only one camera matrix is there; K2 \(or M2\) is missing"),
        (MONO.replace("1280", "wide"), "camera 'left': image size should be numbers"),
    ],
)
def test_messages(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_a_folder_in_which_some_cameras_are_placed(tmp_path):
    (tmp_path / "a.yml").write_text(MONO)
    (tmp_path / "b.yml").write_text(MONO + matrix("R", TURN) + matrix("T", [[1], [2], [3]]))
    with pytest.raises(ValueError, match="the files of a hold intrinsics only, the others say where"):
        read_calibration_file(tmp_path)
