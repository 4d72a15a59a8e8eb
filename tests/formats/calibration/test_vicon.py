"""Vicon's .xcp: which reading of its axes wins, and damaged files. No real file was at hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from coview.formats.calibration.registry import read_calibration_file

CAMERA = """<Camera DEVICEID="{name}" USERID="7" TYPE="{kind}" SENSOR_SIZE="1920 1080" PIXEL_ASPECT_RATIO="1.25">
<KeyFrames><KeyFrame FOCAL_LENGTH="1500" PRINCIPAL_POINT="950 530" ORIENTATION="{orientation}"
 POSITION="{position}" {lens} WORLD_ERROR="0.1"/></KeyFrames></Camera>"""
RADIAL2 = 'VICON_RADIAL2="ViconRadial2 950 530 0.1 0.02 0.003"'


def camera(name="11", kind="VideoCamera", orientation="0 0 0 1", position="1000 2000 3000", lens=RADIAL2):
    return CAMERA.format(name=name, kind=kind, orientation=orientation, position=position, lens=lens)


def read(tmp_path, *cameras):
    path = tmp_path / "a.xcp"
    path.write_text("<Cameras>" + "".join(cameras) + "</Cameras>")
    return read_calibration_file(path)


def inward(turn, transposed):
    """Four cameras round (0, 0, 1) m, as a file would hold them whose camera axes are `turn` times OpenCV's."""
    found = []
    for index, (x, y) in enumerate([(4000.0, 0.0), (0.0, 4000.0), (-4000.0, 100.0), (0.0, -4000.0)]):
        centre = np.array([x, y, 2000.0])
        forward = np.array([0.0, 0.0, 1000.0]) - centre
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        held = turn @ rotation
        quaternion = Rotation.from_matrix(held.T if transposed else held).as_quat()
        position = " ".join(map(repr, centre.tolist()))
        found.append(
            (
                rotation,
                centre,
                camera(f"{index}", orientation=" ".join(map(repr, quaternion.tolist())), position=position),
            )
        )
    return found


def test_by_hand(tmp_path):
    # x y z w: a quarter turn about z
    found = read(tmp_path, camera(orientation="0 0 0.7071067811865476 0.7071067811865476"))
    [one] = found.cameras
    np.testing.assert_allclose(one.matrix, [[1500, 0, 950], [0, 1200, 530], [0, 0, 1]])
    assert one.distortions == (0.1, 0.02, 0.0, 0.0, 0.003)
    np.testing.assert_allclose(one.rotation, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
    np.testing.assert_allclose(one.translation, [2000, -1000, -3000])  # −R C with C = (1000, 2000, 3000)
    assert "cannot confirm it" in found.notes[0]


def test_older_lenses(tmp_path):
    [one] = read(tmp_path, camera(lens='VICON_RADIAL="0.1 0.02"')).cameras
    assert one.distortions == (0.1, 0.02, 0.0, 0.0, 0.0)
    found = read(tmp_path, camera(lens='VICON_RADIAL="1e-8 1e-14"'))
    assert any("per square pixel" in note for note in found.notes)


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, -1), (-1, -1, 1), (-1, 1, -1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_reading_in_which_cameras_look_at_one_place_wins(tmp_path, signs, transposed):
    rig = inward(np.diag(signs).astype(float), transposed)
    found = read(tmp_path, *(text for _, _, text in rig))
    for (rotation, centre, _), one in zip(rig, found.cameras, strict=True):
        # the optical axis; whether the picture is upright says nothing, a camera may hang
        np.testing.assert_allclose(one.rotation[2], rotation[2], atol=1e-12)
        np.testing.assert_allclose(-one.rotation.T @ one.translation, centre, atol=1e-9)
    assert any(
        all(np.allclose(a.rotation, b, atol=1e-12) for a, (b, _, _) in zip(cameras, rig, strict=True))
        for _, cameras in found.readings
    )


def test_cameras_that_hang_upside_down_are_left_as_the_file_has_them(tmp_path):
    rig = inward(np.eye(3), False)
    hanging = np.diag([-1.0, -1.0, 1.0])
    texts = []
    for index, (rotation, centre, _) in enumerate(rig):
        quaternion = Rotation.from_matrix(hanging @ rotation).as_quat()
        texts.append(
            camera(
                f"{index}",
                orientation=" ".join(map(repr, quaternion.tolist())),
                position=" ".join(map(repr, centre.tolist())),
            )
        )
    found = read(tmp_path, *texts)
    for (rotation, _, _), one in zip(rig, found.cameras, strict=True):
        np.testing.assert_allclose(one.rotation, hanging @ rotation, atol=1e-12)


def test_marker_cameras_and_uncalibrated_ones_are_left_out(tmp_path):
    bare = '<Camera DEVICEID="9" TYPE="VideoCamera" SENSOR_SIZE="1 1"><KeyFrames/></Camera>'
    found = read(tmp_path, camera("1", "VideoCamera"), camera("2", "MXT40"), bare)
    assert [one.name for one in found.cameras] == ["1"]
    assert "camera '9' has no KeyFrame" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (camera(kind="MXT40"), r"no video camera among its cameras \(TYPE: MXT40\)"),
        (camera(orientation="0 0 0 2"), "camera '11': ORIENTATION: the quaternion .* has length 2"),
        (camera(orientation="0 0 1"), "camera '11': ORIENTATION should be 4 numbers, found 3"),
        (camera().replace("FOCAL_LENGTH", "FOCUS"), "camera '11': the attribute FOCAL_LENGTH is missing"),
        (camera().replace('"1.25"', '"0"'), "PIXEL_ASPECT_RATIO is 0"),
        ('<Camera DEVICEID="9" TYPE="VideoCamera"/>', "none of its 1 video cameras is calibrated"),
    ],
)
def test_messages(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)
