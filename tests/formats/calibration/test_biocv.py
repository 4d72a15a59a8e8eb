"""BioCV's text files, line by line; damaged ones."""

import numpy as np
import pytest

from coview.formats.calibration.registry import read_calibration_file

TEXT = """1920
1080
1000 0 960
0 1001 540
0 0 1

0 -1 0 10
1 0 0 20
0 0 1 3000
0 0 0 1

0.1 0.2 0.003 0.004 0.05
"""


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("0 0 0 1\n", ""), TEXT + "\n\n"])
def test_by_hand(tmp_path, text):
    (tmp_path / "00.mp4.calib").write_text(text)
    found = read_calibration_file(tmp_path / "00.mp4.calib")
    [camera] = found.cameras
    assert (camera.name, camera.size, found.units) == ("00", (1920, 1080), "mm")
    np.testing.assert_array_equal(camera.matrix, [[1000, 0, 960], [0, 1001, 540], [0, 0, 1]])
    np.testing.assert_allclose(camera.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(camera.translation, [10, 20, 3000])
    assert camera.distortions == (0.1, 0.2, 0.003, 0.004, 0.05)


def test_a_folder_is_read_in_natural_order_and_named_after_its_files(tmp_path):
    for name in ("cam10", "cam2"):
        (tmp_path / f"{name}.calib").write_text(TEXT)
    assert [camera.name for camera in read_calibration_file(tmp_path).cameras] == ["cam2", "cam10"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[: TEXT.index("0 0 0 1")], "a.calib ends before its distortion"),
        (TEXT[: TEXT.index("0.1 0.2")], "a.calib ends before its distortion"),
        (TEXT.replace("1 0 0 20", "1 0 0"), "a.calib, line 8 should be 4 numbers, found 3"),
        (TEXT.replace("1920", "wide"), "a.calib, line 1 should be numbers, found 'wide'"),
        (TEXT.replace("0.05", "0.05 0 0 0 0.06"), "a.calib, line 12: 9 distortion coefficients"),
    ],
)
def test_messages(tmp_path, text, message):
    (tmp_path / "a.calib").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_calibration_file(tmp_path / "a.calib")
