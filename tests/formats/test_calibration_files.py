"""What the calibration files of other programs say."""

import numpy as np
import pytest

from coview.formats.calibration_files import mended, read_calibration_file

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
def test_lenses_only(tmp_path, pose):
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
        (camera(distortions=", ".join(["0"] * 9)), "9 distortion coefficients; at most 8"),
        (camera(translation='["a", 1, 2]'), "translation should be numbers"),
        ("<html/>", "root <html> and no <camera>; only Qualisys"),
        (
            "<calibration><camera model='Oqus' serial='1'/></calibration>",
            r"no active video camera.*\(models: Oqus\)",
        ),
        ("<calibration><camera serial='1'/></calibration>", "camera '1': <fov_video> is missing"),
        ("<calibration>\n<camera></calibration>", r"rig.toml, line 2, column \d+: not valid XML"),
    ],
)
def test_messages(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_rounded_rotations_are_mended_and_wrong_ones_are_not():
    exact = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    rounded = exact + np.random.default_rng(0).uniform(-5e-5, 5e-5, (3, 3))
    np.testing.assert_allclose(mended(rounded) @ mended(rounded).T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(mended(rounded), exact, atol=2e-4)
    for wrong in (exact * 1.01, -exact):
        np.testing.assert_array_equal(mended(wrong), wrong)


QCA = """<calibration><cameras><camera active="1" model="{model}" serial="c1" viewrotation="{turn}">
<fov_video left="8" top="0" right="1087" bottom="1919"/>
<transform x="1000" y="2000" z="3000" r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" r31="0" r32="0"
 r33="1"/>
<intrinsic focalLengthU="64000" focalLengthV="64000" centerPointU="34816" centerPointV="61440"
 radialDistortion1="-0.05" radialDistortion2="0.1" radialDistortion3="0.01"
 tangentalDistortion1="0.001" tangentalDistortion2="0.002"/>
</camera></cameras></calibration>"""


def test_qualisys(tmp_path):
    [found] = read(tmp_path, QCA.format(model="Miqus Video", turn=0)).cameras
    # By hand: 1/64 pixels; the image begins at column 8; a camera that looks along -z with y up
    # becomes one that looks along +z with y down; centre C = (1, 2, 3) m, so t = -R C.
    assert found.size == (1080, 1920)
    np.testing.assert_allclose(found.matrix, [[1000, 0, 544 - 8], [0, 1000, 960], [0, 0, 1]])
    np.testing.assert_allclose(found.rotation, np.diag([1, -1, -1]))
    np.testing.assert_allclose(found.translation, [-1000, 2000, 3000])
    assert found.distortions == (-0.05, 0.1, 0.001, 0.002, 0.01)  # not divided by 64


def test_qualisys_turned_video_is_said(tmp_path):
    assert "viewrotation 90" in read(tmp_path, QCA.format(model="none", turn=90)).notes[0]
