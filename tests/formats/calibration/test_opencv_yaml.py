"""YAML as OpenCV's FileStorage has it, against OpenCV itself."""

import cv2
import numpy as np
import pytest

from coview.formats.calibration.opencv_yaml import dump_opencv_yaml, read_opencv_yaml


def test_what_opencv_writes(tmp_path):
    storage = cv2.FileStorage(str(tmp_path / "a.yml"), cv2.FILE_STORAGE_WRITE)
    matrix = np.array([[1e-6, 2.0], [-3.25, 4e7]])
    storage.write("M", matrix)
    storage.write("n", 3)
    storage.write("name", "a: b")
    storage.release()
    found = read_opencv_yaml(tmp_path / "a.yml")
    np.testing.assert_array_equal(found["M"], matrix)
    assert (found["n"], found["name"]) == ("3", "a: b")


def test_what_opencv_reads(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(3, 4))
    text = dump_opencv_yaml({"M": matrix, "n": 7, "name": 'a "b"', "names": ["1", "x y"]})
    (tmp_path / "a.yml").write_text(text)
    storage = cv2.FileStorage(str(tmp_path / "a.yml"), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(storage.getNode("M").mat(), matrix)
    assert storage.getNode("n").real() == 7
    assert storage.getNode("name").string() == 'a "b"'
    assert [storage.getNode("names").at(i).string() for i in range(2)] == ["1", "x y"]
    np.testing.assert_array_equal(read_opencv_yaml(tmp_path / "a.yml")["M"], matrix)


def test_matrices_without_a_tag(tmp_path):
    (tmp_path / "a.yaml").write_text("camera_matrix:\n  rows: 1\n  cols: 2\n  data: [1, 2.5]\n")
    np.testing.assert_array_equal(read_opencv_yaml(tmp_path / "a.yaml")["camera_matrix"], [[1, 2.5]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "holds no names with values"),
        ("a: [1, 2\nb: 3\n", r"a.yml is not valid YAML: line 2"),
        ("%YAML:1.0\n---\na: !!opencv-matrix\n  rows: 1\n  cols: 2\n  data: [1]\n", "a matrix is damaged"),
        ("a:\n  rows: 1\n  cols: 2\n  data: [x, y]\n", "matrix `a` is damaged"),
    ],
)
def test_messages(tmp_path, text, message):
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_opencv_yaml(tmp_path / "a.yml")


def test_nothing_in_a_file_is_run(tmp_path):
    (tmp_path / "a.yml").write_text("a: !!python/object/apply:os.system [echo]\n")
    assert read_opencv_yaml(tmp_path / "a.yml") == {"a": ["echo"]}
