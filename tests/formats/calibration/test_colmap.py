"""COLMAP's model, by hand and against COLMAP itself where pycolmap is installed; damaged files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from coview.formats.calibration.calibration import read_calibration
from coview.formats.calibration.colmap import COLMAP
from coview.formats.calibration.registry import read_calibration_file

CAMERAS = """# Camera list
1 OPENCV 1280 720 1000 1001 640.5 360.5 0.1 0.2 0.003 0.004
2 SIMPLE_RADIAL 640 480 500 320 240 -0.1
"""
# a quarter turn about z: w = z = √½; the second image sees no point: its second line is empty
IMAGES = """# Image list
7 0.7071067811865476 0 0 0.7071067811865476 1 2 3 1 left.jpg
10.5 20.5 -1 30.5 40.5 5
9 1 0 0 0 0 0 4 2 right.jpg

"""


def written(folder: Path, cameras=CAMERAS, images=IMAGES) -> Path:
    (folder / "cameras.txt").write_text(cameras)
    (folder / "images.txt").write_text(images)
    return folder


def test_by_hand(tmp_path):
    folder = written(tmp_path)
    for place in (folder, folder / "cameras.txt", folder / "images.txt"):
        found = read_calibration_file(place)
        left, right = found.cameras
        assert (left.name, right.name, left.size) == ("left", "right", (1280, 720))
        # COLMAP's pixel centres are at halves: (640.5, 360.5) there is (640, 360) here
        np.testing.assert_allclose(left.matrix, [[1000, 0, 640], [0, 1001, 360], [0, 0, 1]])
        np.testing.assert_allclose(right.matrix, [[500, 0, 319.5], [0, 500, 239.5], [0, 0, 1]])
        np.testing.assert_allclose(left.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
        np.testing.assert_allclose(left.distortions[:5], (0.1, 0.2, 0.003, 0.004, 0))
        np.testing.assert_allclose(right.distortions[:2], (-0.1, 0))


def test_no_scale_is_made_up(tmp_path):
    folder = written(tmp_path)
    with pytest.raises(ValueError, match=r"a COLMAP model has no scale, .*pass --units m"):
        read_calibration(folder)
    assert read_calibration(folder, units="cm").cameras.translation[1].tolist() == [0, 0, 0.04]
    assert not read_calibration(folder, intrinsics_only=True).has_extrinsics


def test_cameras_are_called_after_folders_where_images_have_them(tmp_path):
    folder = written(
        tmp_path, images=IMAGES.replace("left.jpg", "cam10/0.jpg").replace("right.jpg", "cam2/0.jpg")
    )
    assert [camera.name for camera in read_calibration_file(folder).cameras] == ["cam2", "cam10"]


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("SIMPLE_PINHOLE", "900 640 360"),
        ("PINHOLE", "900 901 640 360"),
        ("SIMPLE_RADIAL", "900 640 360 0.1"),
        ("RADIAL", "900 640 360 0.1 -0.02"),
        ("OPENCV", "900 901 640 360 0.1 -0.02 0.003 -0.004"),
        ("FULL_OPENCV", "900 901 640 360 0.1 -0.02 0.003 -0.004 0.05 0.06 -0.07 0.01"),
        ("OPENCV_FISHEYE", "900 901 640 360 0.1 -0.02 0.03 -0.004"),
        ("SIMPLE_RADIAL_FISHEYE", "900 640 360 0.1"),
        ("RADIAL_FISHEYE", "900 640 360 0.1 -0.02"),
    ],
)
@pytest.mark.parametrize("binary", [False, True])
def test_every_lens_projects_as_in_colmap(tmp_path, model, parameters, binary):
    pycolmap = pytest.importorskip("pycolmap", reason="the extra `geometry` is not installed")
    image = "1 0.5 0.5 -0.5 0.5 0.1 0.2 3 1 a.jpg\n\n"
    written(tmp_path, f"1 {model} 1280 720 {parameters}\n", image)
    (tmp_path / "points3D.txt").write_text("")
    theirs = pycolmap.Reconstruction(str(tmp_path))
    if binary:
        theirs.write_binary(str(tmp_path))
        for name in ("cameras.txt", "images.txt"):
            (tmp_path / name).unlink()
    ours = read_calibration(tmp_path, units="m").cameras
    seen = theirs.image(1)
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    expected = np.array([seen.project_point(point) for point in points]) - 0.5
    torch.testing.assert_close(
        ours.project(torch.from_numpy(points))[0], torch.from_numpy(expected), atol=1e-6, rtol=0
    )


def test_colmap_reads_what_is_written(tmp_path):
    pycolmap = pytest.importorskip("pycolmap", reason="the extra `geometry` is not installed")
    ours = read_calibration(written(tmp_path), units="m").cameras
    cameras = read_calibration_file(tmp_path).cameras
    (tmp_path / "out").mkdir()
    for file, content in COLMAP.write(cameras, tmp_path / "out").items():
        file.write_bytes(content)
    theirs = pycolmap.Reconstruction(str(tmp_path / "out"))
    point = np.array([0.3, 0.2, 2.0])
    for index, camera in enumerate(cameras):
        [seen] = [image for image in theirs.images.values() if image.name == f"{camera.name}.png"]
        expected = torch.from_numpy(seen.project_point(point) - 0.5)
        torch.testing.assert_close(
            ours.project(torch.from_numpy(point)[None])[index, 0], expected, atol=1e-9, rtol=0
        )


@pytest.mark.parametrize(
    ("cameras", "images", "message"),
    [
        ("1 OPENCV 1280\n", IMAGES, "cameras.txt, line 1: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS"),
        (
            CAMERAS.replace("OPENCV", "FOV"),
            IMAGES,
            "camera 1 has the lens model FOV, which OpenCV's polynomials cannot",
        ),
        (CAMERAS.replace(" 0.004", ""), IMAGES, "OPENCV has 8 parameters, and 7 are given"),
        (
            CAMERAS.replace("\n2 ", "\n3 "),
            IMAGES,
            "image 'right.jpg' is of camera 2, which cameras.txt does not have",
        ),
        (
            CAMERAS,
            IMAGES.replace("10.5 20.5 -1 30.5 40.5 5\n", ""),
            "images.txt, line 3: here should be the points",
        ),
        (
            CAMERAS,
            IMAGES.replace("7 0.7071067811865476", "7 0.9"),
            "image 'left.jpg': the quaternion .* has length",
        ),
        (CAMERAS, "# nothing\n", "images.txt holds no image"),
        (
            CAMERAS,
            IMAGES.replace("left.jpg", "a/0.jpg").replace("right.jpg", "b/0.jpg")
            + "3 1 0 0 0 9 9 9 1 a/1.jpg\n\n4 1 0 0 0 9 9 9 1 b/1.jpg\n\n",
            r"every camera has several images with different poses \(a, b\)",
        ),
    ],
)
def test_messages(tmp_path, cameras, images, message):
    with pytest.raises(ValueError, match=message):
        read_calibration_file(written(tmp_path, cameras, images))


def test_a_camera_that_was_carried_about_is_left_out(tmp_path):
    images = IMAGES.replace("left.jpg", "a/0.jpg").replace("right.jpg", "b/0.jpg")
    images += "3 1 0 0 0 9 9 9 1 phone/0.jpg\n\n4 1 0 0 0 9 9 5 1 phone/1.jpg\n\n"
    found = read_calibration_file(written(tmp_path, CAMERAS, images))
    assert [camera.name for camera in found.cameras] == ["a", "b"]
    assert any(
        "camera 'phone' of the COLMAP model has 2 images from different places" in n for n in found.notes
    )


def test_the_images_of_a_fixed_camera_may_differ_as_colmap_does(tmp_path):
    images = IMAGES.replace("left.jpg", "a/0.jpg").replace("right.jpg", "b/0.jpg")
    one = images.splitlines()[1].split()
    pose = [repr(float(value) + 1e-4) for value in one[5:8]]
    images += " ".join(["7", *one[1:5], *pose, one[8], "a/1.jpg"]) + "\n\n"
    found = read_calibration_file(written(tmp_path, CAMERAS, images))
    assert [camera.name for camera in found.cameras] == ["a", "b"]
    assert not any("carried" in note for note in found.notes)
