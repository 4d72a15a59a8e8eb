"""What TOML calibrations say: the layout of anipose and Pose2Sim, and Caliscope's own."""

import numpy as np
import pytest

from coview.formats.calibration.registry import read_calibration_file

CAMERA = """
[{title}]
name = "{name}"
size = [1280, 720]
matrix = [[900.0, 0.0, 640.0], [0.0, 900.0, 360.0], [0.0, 0.0, 1.0]]
distortions = [{distortions}]
rotation = {rotation}
translation = {translation}
"""


def camera(
    title="cam_0", name="cam_0", distortions="0.1, 0.2", rotation="[0.1, 0.2, 0.3]", translation="[1, 2, 3]"
):
    return CAMERA.format(
        title=title, name=name, distortions=distortions, rotation=rotation, translation=translation
    )


def read(tmp_path, text):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    return read_calibration_file(path)


def test_anipose(tmp_path):
    found = read(
        tmp_path,
        camera() + camera("b", "beta") + "[metadata]\nadjusted = true\nerror = 0.3\n[charuco]\nx = 1\n",
    )
    assert [(c.name, c.alias) for c in found.cameras] == [("cam_0", "cam_0"), ("beta", "b")]
    assert found.units is None
    # Rodrigues by hand: angle |v|, axis v/|v|: R = I + sin θ K + (1 - cos θ) K²
    v = np.array([0.1, 0.2, 0.3])
    angle = np.linalg.norm(v)
    x, y, z = v / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    expected = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    np.testing.assert_allclose(found.cameras[0].rotation, expected, atol=1e-12)
    assert found.cameras[0].distortions == (0.1, 0.2)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8])
def test_any_number_of_distortion_coefficients(tmp_path, count):
    found = read(tmp_path, camera(distortions=", ".join(["0.01"] * count)))
    assert len(found.cameras[0].distortions) == count


def test_rotation_as_a_matrix_and_translation_as_a_column(tmp_path):
    found = read(
        tmp_path, camera(rotation="[[0, -1, 0], [1, 0, 0], [0, 0, 1]]", translation="[[1], [2], [3]]")
    )
    np.testing.assert_allclose(found.cameras[0].rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.cameras[0].translation, [1, 2, 3])


@pytest.mark.parametrize(
    "pose", ["", 'rotation = "null"\ntranslation = "null"\n', "rotation = [0,0,0]\ntranslation = [0,0,0]\n"]
)
def test_intrinsics_only(tmp_path, pose):
    # HumanCalib and others leave the extrinsics out, or fill them with zeros
    lens = "size = [10, 10]\nmatrix = [[9, 0, 5], [0, 9, 5], [0, 0, 1]]\ndistortions = []\n" + pose
    found = read(tmp_path, "[a]\n" + lens + "[b]\n" + lens)
    assert all(c.rotation is None and c.translation is None for c in found.cameras)


def test_one_camera_may_be_the_origin(tmp_path):
    found = read(tmp_path, camera(rotation="[0, 0, 0]", translation="[0, 0, 0]") + camera("b", "b"))
    np.testing.assert_allclose(found.cameras[0].rotation, np.eye(3))


def test_caliscope(tmp_path):
    text = (
        camera("cameras.3", "x").replace("name =", "cam_id = 3\nold =")
        + camera("cameras.4", "y")
        + "ignore = true\n"
    )
    found = read(tmp_path, text)
    assert [c.name for c in found.cameras] == ["cam_3"]
    assert found.units == "m"
    assert "marked `ignore`" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\n", "holds no camera: no table with a `matrix`. Its tables are: a"),
        (camera() + camera(), "not valid TOML: .*twice.*line 10"),
        (camera().replace("[1280, 720]", "[1280]"), r"camera 'cam_0': size should have shape \(2,\)"),
        (camera().replace("900.0, 0.0, 640.0", "900.0, 640.0"), "camera 'cam_0': matrix should"),
        (camera(rotation="[1, 2]"), r"camera 'cam_0': rotation should have shape \(3, 3\), found \(2,\)"),
        (camera(rotation='"null"'), "`rotation` is missing. Give both, or neither"),
        (camera(distortions=", ".join(["0.1"] * 9)), "9 distortion coefficients, .* not all zero; at most 8"),
        (camera() + 'fisheye = "yes"\n', "fisheye is 'yes' and must be true or false"),
        (camera(translation='["a", 1, 2]'), "translation should be numbers"),
    ],
)
def test_messages(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(("count", "turned"), [(0, None), (4, None), (2, "180°"), (-1, "270°")])
def test_pictures_that_caliscope_shows_turned_are_said(tmp_path, count, turned):
    text = camera("cameras.3", "x").replace("name =", f"rotation_count = {count}\ncam_id = 3\nold =")
    notes = read(tmp_path, text).notes
    assert (turned is None) == (notes == ())
    assert turned is None or f"turned by {turned}" in notes[0]
