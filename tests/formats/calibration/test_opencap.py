"""OpenCap's pickles: height before width, millimetres, and nothing in them that could be run."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from coview.formats.calibration.opencap import OPENCAP
from coview.formats.calibration.registry import read_calibration_file

CONTENT = {
    "intrinsicMat": np.array([[1500.0, 0, 360], [0, 1501, 640], [0, 0, 1]]),
    "distortion": np.array([[0.1, -0.2, 0.001, 0.002, 0.05]]),
    "imageSize": np.array([[1280.0], [720.0]]),
    "rotation": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "translation": np.array([[10.0], [20], [3000]]),
    "rotation_EulerAngles": np.array([[0.0], [0], [np.pi / 2]]),
}
FILE = "cameraIntrinsicsExtrinsics.pickle"


def written(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return path


def test_a_session_folder(tmp_path):
    for name in ("Cam10", "Cam2"):
        written(tmp_path / "Videos" / name / FILE)
    found = read_calibration_file(tmp_path)
    assert [camera.name for camera in found.cameras] == ["Cam2", "Cam10"]
    assert found.cameras[0].size == (720, 1280), "written height first"
    assert found.cameras[0].distortions == (0.1, -0.2, 0.001, 0.002, 0.05)
    np.testing.assert_array_equal(found.cameras[0].translation, [10, 20, 3000])
    assert found.units == "mm"
    assert "checkerboard" in found.notes[0]


def test_lenses_of_a_phone(tmp_path):
    lens = {key: CONTENT[key] for key in ("intrinsicMat", "distortion", "imageSize")}
    [camera] = read_calibration_file(written(tmp_path / "iphone.pickle", lens)).cameras
    assert (camera.name, camera.rotation) == ("iphone", None)


def test_numpy_1_can_open_what_is_written(tmp_path):
    [camera] = read_calibration_file(written(tmp_path / "Cam1" / FILE)).cameras
    metres = replace(camera, translation=camera.translation / 1000)
    [(path, data)] = OPENCAP.write([metres], tmp_path / "out").items()
    assert path == tmp_path / "out" / "Videos" / "Cam1" / FILE
    assert b"numpy._core" not in data
    found = pickle.loads(data)
    assert set(found) == set(CONTENT)
    for key, value in CONTENT.items():
        np.testing.assert_allclose(found[key], value, atol=1e-12)


class _Evil:
    def __reduce__(self):
        return os.system, ("echo run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"intrinsicMat": _Evil()}, "was not opened: it asks for '(posix|nt).system', and only numpy arrays"),
        ({"K": 1}, "has no `intrinsicMat`, so it is not OpenCap's; it holds: K"),
        ([1], "has no `intrinsicMat`.* it holds: list"),
        ({k: v for k, v in CONTENT.items() if k != "translation"}, "only one is there"),
        (CONTENT | {"imageSize": np.zeros(3)}, r"imageSize should have shape \(2,\)"),
    ],
)
def test_messages(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_calibration_file(written(tmp_path / "a.pickle", content))


def test_cut_short(tmp_path):
    path = written(tmp_path / "a.pickle")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"a\.pickle was not opened"):
        read_calibration_file(path)
