"""EasyMocap's two files, as their reader means them; damaged ones."""

import cv2
import numpy as np
import pytest
import torch

from coview.formats.calibration.calibration import read_calibration
from coview.formats.calibration.registry import read_calibration_file

# as cv2.FileStorage writes it: camera 01 keeps its zero; the older D_ and a 1×4 lens for the other
INTRI = """%YAML:1.0
---
names:
   - "01"
   - "2"
K_01: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1000., 0., 640., 0., 1001., 360., 0., 0., 1. ]
dist_01: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -1.0000000000000001e-01, 2.e-02, 1.e-03, 2.e-03, 3.e-03 ]
H_01: 720
W_01: 1280
K_2: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 900., 0., 500., 0., 900., 400., 0., 0., 1. ]
D_2: !!opencv-matrix
   rows: 1
   cols: 4
   dt: d
   data: [ 0., 0., 0., 0. ]
"""
EXTRI = """%YAML:1.0
---
names: [ "01", "2" ]
R_01: !!opencv-matrix
   rows: 3
   cols: 1
   dt: d
   data: [ 0., 0., 1.5707963267948966 ]
T_01: !!opencv-matrix
   rows: 3
   cols: 1
   dt: d
   data: [ 1., 2., 3. ]
Rot_2: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1., 0., 0., 0., 1., 0., 0., 0., 1. ]
T_2: !!opencv-matrix
   rows: 3
   cols: 1
   dt: d
   data: [ 0., 0., 4. ]
"""


def written(tmp_path, intri=INTRI, extri=EXTRI):
    (tmp_path / "intri.yml").write_text(intri)
    if extri:
        (tmp_path / "extri.yml").write_text(extri)
    return tmp_path


def test_read_from_folder_or_either_file(tmp_path):
    folder = written(tmp_path)
    for place in (folder, folder / "intri.yml", folder / "extri.yml"):
        found = read_calibration_file(place)
        assert [camera.name for camera in found.cameras] == ["01", "2"]
        first, second = found.cameras
        assert first.size == (1280, 720)
        np.testing.assert_allclose(first.distortions, (-0.1, 0.02, 0.001, 0.002, 0.003))
        np.testing.assert_allclose(first.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
        np.testing.assert_allclose(second.translation, [0, 0, 4])
        assert found.units == "m"


def test_a_size_that_is_missing_is_asked_for_and_never_guessed_from_the_principal_point(tmp_path):
    folder = written(tmp_path)
    with pytest.raises(ValueError, match=r"camera '2': the image size is \(nan, nan\).*Add `size"):
        read_calibration(folder)
    assert read_calibration(folder, sizes={"2": (1024, 768)}).cameras.size[1].tolist() == [1024, 768]
    assert read_calibration(folder, sizes={"*": (1024, 768)}).cameras.size.tolist() == [
        [1280, 720],
        [1024, 768],
    ]
    (folder / "images" / "2").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "2" / "000000.jpg"), np.zeros((800, 960, 3), np.uint8))
    assert read_calibration(folder).cameras.size[1].tolist() == [960, 800]


def test_lenses_alone(tmp_path):
    found = read_calibration_file(written(tmp_path, extri=""))
    assert all(camera.rotation is None for camera in found.cameras)
    assert "extri.yml is not beside intri.yml" in found.notes[0]


def test_opencv_reads_what_is_written(tmp_path):
    from coview.formats.calibration.easymocap import EASYMOCAP

    for file, content in EASYMOCAP.write(
        read_calibration_file(written(tmp_path)).cameras[:1], tmp_path / "out"
    ).items():
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    intri = cv2.FileStorage(str(tmp_path / "out" / "intri.yml"), cv2.FILE_STORAGE_READ)
    assert intri.getNode("names").at(0).string() == "01"
    np.testing.assert_array_equal(intri.getNode("K_01").mat()[0], [1000, 0, 640])
    assert intri.getNode("H_01").real() == 720
    extri = cv2.FileStorage(str(tmp_path / "out" / "extri.yml"), cv2.FILE_STORAGE_READ)
    turn = torch.from_numpy(cv2.Rodrigues(extri.getNode("R_01").mat())[0])
    torch.testing.assert_close(turn, torch.from_numpy(extri.getNode("Rot_01").mat()))


@pytest.mark.parametrize(
    ("intri", "extri", "message"),
    [
        (
            INTRI.replace("K_2:", "K_3:"),
            EXTRI,
            "camera '2' has no matrix `K_2`; there are matrices for: 01, 3",
        ),
        (
            INTRI,
            EXTRI.replace("T_2:", "T_3:"),
            "extri.yml: camera '2' is not placed: `R_2` .* and `T_2` are needed",
        ),
        (
            INTRI,
            EXTRI + EXTRI[EXTRI.index("Rot_2") :].replace("Rot_2", "Rot_01"),
            "`R_01` and `Rot_01` are different",
        ),
        (INTRI.replace("0., 1001.", "0. 1001.]"), EXTRI, r"intri.yml is not valid YAML: line \d+"),
        (
            INTRI.replace("rows: 1\n   cols: 5", "rows: 1\n   cols: 6"),
            EXTRI,
            "intri.yml: a matrix is damaged",
        ),
        ("%YAML:1.0\n---\nK_: 1\n", "", "camera '' .*K_ should be numbers|K_ should have shape"),
    ],
)
def test_messages(tmp_path, intri, extri, message):
    with pytest.raises(ValueError, match=message):
        read_calibration_file(written(tmp_path, intri, extri))
