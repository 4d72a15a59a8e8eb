"""Qualisys' calibration: half-hidden conventions, and damaged files."""

import numpy as np
import pytest

from coview.formats.calibration.registry import read_calibration_file


def read(tmp_path, text):
    path = tmp_path / "rig.qca.txt"
    path.write_text(text)
    return read_calibration_file(path)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<calibration/>", "root <calibration> and no <camera>"),
        (
            "<calibration><camera model='Oqus' serial='1'/></calibration>",
            r"no active video camera.*\(models: Oqus\)",
        ),
        ("<calibration><camera serial='1'/></calibration>", "camera '1': <fov_video> is missing"),
        ("<calibration>\n<camera></calibration>", r"rig.qca.txt, line 2, column \d+: not valid XML"),
        (QCA.format(model="none", turn=0).replace('r33="1"', ""), "<transform> has no attribute 'r33'"),
        (
            QCA.format(model="none", turn=0).replace('y="2000"', 'y="x"'),
            "<transform> holds something that is no",
        ),
    ],
)
def test_messages(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)
