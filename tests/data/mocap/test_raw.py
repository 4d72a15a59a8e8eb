"""Files of raw motion capture as our joints in metres: against a preparation made by others, and what is refused."""

import shutil

import numpy as np
import pytest
import torch

from coview.data.mocap.raw import ASF_BONES, METRES, read_take
from coview.formats.motion.c3d import write_c3d
from coview.formats.motion.marker_names import skeleton_of
from coview.formats.motion.poses3d import Poses3D
from coview.skeletons import MOCAP_19

REFERENCE = {
    "02_01": "train",
    "02_03": "train",
    "09_06": "train",
    "131_01": "test",
}


@pytest.mark.parametrize("take", REFERENCE)
def test_agreement_with_the_shared_preparation(shared_data, take):
    """Made by another program from the same files, every second frame, rounded to 0.1 mm: at most 0.095 mm apart."""
    folder = shared_data / "mocap_cmu"
    raw = folder / "raw_samples"
    amc, bvh = raw / f"{take}.amc", raw / f"{take}.bvh"
    found = read_take(amc, asf=raw / f"{take[:2]}.asf") if amc.exists() else read_take(bvh)
    reference = torch.from_numpy(np.load(folder / f"cmu_{REFERENCE[take]}.npz")[f"cmu_{take}"])
    assert found.points[::2].shape == reference.shape
    assert float((found.points[::2] - reference).norm(dim=-1).max()) < 0.11e-3
    assert found.fps == pytest.approx(120, abs=1e-3)
    assert found.grade == ("A" if amc.exists() else "B")


def test_the_unit_and_the_rate_are_explained(shared_data):
    raw = shared_data / "mocap_cmu" / "raw_samples"
    take = read_take(raw / "02_03.amc", asf=raw / "02.asf")
    assert take.unit == "`length 0.45` in 02.asf: 1/0.45 inch"
    assert take.rate == "assumed: AMC states no rate, CMU's cameras had this one"
    take = read_take(raw / "131_01.bvh", fps=100.0)
    assert take.unit == "cmu, the unit in which this person is 1.57 m tall (BVH states none)"
    assert take.repair == "the missing bone `thorax` was put back (112 mm, a copy of Chest2 below it)"
    assert take.fps == pytest.approx(120, abs=1e-3)
    assert take.rate == "as the file says; --fps is not used, because it is for files that state no rate"
    take = read_take(raw / "02_03.amc", asf=raw / "02.asf", fps=100.0)
    assert (take.fps, take.rate) == (100.0, "as given by --fps")


@pytest.mark.parametrize("fps", [0.0, -30.0, float("nan"), float("inf"), 1e6])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    with pytest.raises(ValueError, match=r"--fps \S+ is no rate of motion capture: .*leave --fps out"):
        read_take(tmp_path / "1_1.amc", fps=fps)


@pytest.mark.parametrize("unit", METRES)
def test_the_unit_of_a_bvh_is_found_by_stature(person, tmp_path, unit):
    path = tmp_path / "1_1.bvh"
    path.write_text(person(frames=10))
    expected = read_take(path).points
    path.write_text(person(frames=10, scale=0.01 / METRES[unit]))
    take = read_take(path)
    assert take.unit.startswith(f"{unit}, the unit in which")
    torch.testing.assert_close(take.points, expected, atol=2e-5, rtol=0)


def test_a_height_that_no_unit_explains_is_refused(person, tmp_path):
    path = tmp_path / "1_1.bvh"
    path.write_text(person(frames=10, scale=5.0))
    with pytest.raises(
        ValueError,
        match=r"person is 802\.9 tall in the file's unit, which BVH does not state, and no unit .*--unit",
    ):
        read_take(path)
    with pytest.raises(
        ValueError, match=r"would be 8\.03 m tall \(unit: cm, as given by --unit\); people are 1\.2 to"
    ):
        read_take(path, unit="cm")


def test_a_wrong_unit_for_an_amc_is_refused(shared_data):
    raw = shared_data / "mocap_cmu" / "raw_samples"
    with pytest.raises(ValueError, match=r"would be 0\.286 m tall \(unit: cm, as given by --unit\)"):
        read_take(raw / "02_03.amc", asf=raw / "02.asf", unit="cm")


def test_a_mirrored_person_is_refused(person, tmp_path):
    (tmp_path / "1_1.bvh").write_text(person(frames=10, mirrored=True))
    with pytest.raises(ValueError, match="knees flex and toes point backwards: the body is mirrored"):
        read_take(tmp_path / "1_1.bvh")


def test_a_short_trunk_is_mended_or_refused_and_never_used(person, tmp_path):
    path = tmp_path / "1_1.bvh"
    path.write_text(person(frames=10, thorax="0 0 0"))
    assert "`thorax` was put back (115 mm, a copy of Chest2" in read_take(path).repair
    path.write_text(person(frames=10, thorax="0 0.5 0"))
    with pytest.raises(
        ValueError, match=r"the trunk is 0\.40 of the leg.*and it is not plain where\. Use the \.asf and"
    ):
        read_take(path)


def test_angles_without_a_skeleton(tmp_path):
    with pytest.raises(ValueError, match=r"angles without a skeleton\. Put the subject's \.asf"):
        read_take(tmp_path / "1_1.amc")
    with pytest.raises(
        ValueError, match=r"motion is read from \.amc \(with \.asf\), \.bvh and \.c3d, not from '\.fbx'"
    ):
        read_take(tmp_path / "1_1.fbx")


def test_a_skeleton_without_a_bone_that_is_needed(shared_data, tmp_path):
    raw = shared_data / "mocap_cmu" / "raw_samples"
    text = (raw / "02.asf").read_text().replace("name thorax", "name chest")
    (tmp_path / "02.asf").write_text(text.replace("thorax", "chest"))
    shutil.copy(raw / "02_03.amc", tmp_path)
    with pytest.raises(LookupError, match=r"has no bone 'thorax'\. It has: root"):
        read_take(tmp_path / "02_03.amc", asf=tmp_path / "02.asf")
    assert ASF_BONES["nose"] == "upperneck"


def c3d(path, points, joints=MOCAP_19.joints):
    pytest.importorskip("ezc3d", reason="the extra 'mocap' is not installed")
    x, y, z = points.float().unbind(-1)
    z_up = torch.stack([x, -z, y], dim=-1)
    write_c3d(Poses3D(z_up, None, None, None, 120.0, skeleton_of(joints, "markers")), path)


def test_markers_named_after_joints(person, tmp_path):
    (tmp_path / "1_1.bvh").write_text(person(frames=10))
    expected = read_take(tmp_path / "1_1.bvh").points
    c3d(tmp_path / "1_1.c3d", expected)
    take = read_take(tmp_path / "1_1.c3d")
    torch.testing.assert_close(take.points, expected, atol=1e-5, rtol=0)
    assert (take.unit, take.repair, take.grade) == ("mm, as stated by the file", "", "M")


def test_markers_that_are_means_are_said(person, tmp_path):
    (tmp_path / "1_1.bvh").write_text(person(frames=10))
    points = read_take(tmp_path / "1_1.bvh").points
    keep = [number for number, joint in enumerate(MOCAP_19.joints) if joint != "pelvis"]
    c3d(tmp_path / "1_1.c3d", points[:, keep], [MOCAP_19.joints[number] for number in keep])
    assert read_take(tmp_path / "1_1.c3d").repair == "means of neighbours: pelvis"


def test_markers_on_the_skin_are_refused(tmp_path):
    c3d(tmp_path / "1_1.c3d", torch.zeros(3, 4, 3), ("LFHD", "RFHD", "LASI", "RASI"))
    with pytest.raises(
        ValueError, match=r"Markers on the skin .* are not joint centres.*Use the \.asf and \.amc"
    ):
        read_take(tmp_path / "1_1.c3d")
