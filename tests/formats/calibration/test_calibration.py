"""Calibrations: read, checked, matched by name, written so that others can read them, and read back."""

import tomllib
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.cameras import Cameras
from coview.errors import InputError
from coview.formats.calibration.calibration import (
    Calibration,
    calibration_for,
    read_calibration,
    write_calibration,
)
from coview.formats.calibration.clock import Clock


def calibration(views=3, seed=0, fisheye=False, names=None) -> Calibration:
    random = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(views, 3, 3, generator=random, dtype=torch.float64)).Q
    rotation = rotation * torch.linalg.det(rotation)[:, None, None]
    translation = torch.randn(views, 3, 1, generator=random, dtype=torch.float64) * 4
    matrix = torch.tensor([[1000.0, 0, 600], [0, 1001, 400], [0, 0, 1]], dtype=torch.float64).repeat(
        views, 1, 1
    )
    matrix[:, :2] += torch.rand(views, 2, 3, generator=random, dtype=torch.float64) * torch.eye(2, 3)
    distortion = torch.randn(views, 4 if fisheye else 5, generator=random, dtype=torch.float64) * 0.01
    size = torch.tensor([1280.0, 720.0], dtype=torch.float64).repeat(views, 1)
    cameras = Cameras.make(matrix, torch.cat([rotation, translation], -1), size, distortion, fisheye)
    return Calibration(names or tuple(f"cam_{n}" for n in range(views)), cameras)


def assert_same(found: Cameras, expected: Cameras, tolerance=1e-12):
    for field in ("intrinsics", "cam_from_world", "size", "distortion"):
        torch.testing.assert_close(
            getattr(found, field), getattr(expected, field), atol=tolerance, rtol=0, equal_nan=True
        )
    assert torch.equal(found.fisheye, expected.fisheye)


@given(seed=st.integers(0, 2**31), views=st.integers(1, 5), fisheye=st.booleans())
@settings(deadline=None, max_examples=30)
def test_round_trip(tmp_path_factory, seed, views, fisheye):
    path = tmp_path_factory.mktemp("calibration") / "calibration.toml"
    given = calibration(views, seed, fisheye)
    write_calibration(given, path)
    found = read_calibration(path)
    assert found.names == given.names
    assert_same(found.cameras, given.cameras)
    assert found.fingerprint == given.fingerprint


def test_uncertainty_and_provenance_go_round(tmp_path):
    made = calibration()
    given = Calibration(
        made.names, made.cameras, {"method": 'from "people"'}, {"cam_1": (0.004, 0.002)}, 0.015
    )
    write_calibration(given, tmp_path / "c.toml")
    found = read_calibration(tmp_path / "c.toml")
    assert found.sigma == {"cam_1": (0.004, 0.002)}
    assert found.scale_sigma == 0.015
    assert found.provenance["method"] == 'from "people"'
    assert found.notes == (), "our own files state their unit"


def test_lenses_without_extrinsics_go_round(tmp_path):
    write_calibration(calibration().without_extrinsics(), tmp_path / "c.toml")
    found = read_calibration(tmp_path / "c.toml")
    assert not found.has_extrinsics
    assert calibration().has_extrinsics
    assert_same(found.cameras, calibration().without_extrinsics().cameras)


def test_what_anipose_and_pose2sim_need_is_there(tmp_path):
    # formats.md §1.1: one table per camera with these keys; everything else inside [metadata]
    write_calibration(calibration(names=("metadata", "b c", "ü")), tmp_path / "c.toml")
    table = tomllib.loads((tmp_path / "c.toml").read_text())
    assert set(table) == {"camera_metadata", "b c", "ü", "metadata"}
    assert table["metadata"]["units"] == "m"
    for title in set(table) - {"metadata"}:
        row = table[title]
        assert set(row) == {"name", "size", "matrix", "distortions", "fisheye", "rotation", "translation"}
        assert (len(row["rotation"]), len(row["translation"]), len(row["distortions"])) == (3, 3, 5)
    assert read_calibration(tmp_path / "c.toml").names == ("metadata", "b c", "ü")


def test_a_left_handed_camera_is_not_even_written(tmp_path):
    bad = calibration()
    bad.cameras.cam_from_world[1, :, 0] *= -1
    with pytest.raises(ValueError, match=r"writing c.toml: camera 'cam_1': the rotation is left-handed"):
        write_calibration(bad, tmp_path / "c.toml")
    assert not (tmp_path / "c.toml").exists()


def test_a_left_handed_matrix_in_a_file(tmp_path):
    (tmp_path / "c.toml").write_text(
        "[a]\nsize = [100, 100]\nmatrix = [[90, 0, 50], [0, 90, 50], [0, 0, 1]]\ndistortions = []\n"
        "rotation = [[1, 0, 0], [0, 1, 0], [0, 0, -1]]\ntranslation = [1, 1, 1]\n"
    )
    with pytest.raises(
        ValueError, match=r"c.toml: camera 'a': the rotation is left-handed \(determinant -1.000"
    ):
        read_calibration(tmp_path / "c.toml")


def test_duplicate_camera_names_in_a_file(tmp_path):
    write_calibration(calibration(), tmp_path / "c.toml")
    text = (tmp_path / "c.toml").read_text().replace('name = "cam_1"', 'name = "cam_0"')
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ValueError, match="more than one camera is named cam_0"):
        read_calibration(tmp_path / "c.toml")


def test_millimetres_are_converted_and_said(tmp_path):
    write_calibration(calibration(), tmp_path / "c.toml")
    text = (tmp_path / "c.toml").read_text().replace('units = "m"', 'units = "mm"')
    (tmp_path / "c.toml").write_text(text)
    found = read_calibration(tmp_path / "c.toml")
    torch.testing.assert_close(found.cameras.centres, calibration().cameras.centres / 1000)
    (tmp_path / "c.toml").write_text(text.replace('units = "mm"\n', ""))
    found = read_calibration(tmp_path / "c.toml")
    assert "so they were taken for metres" in found.notes[0]
    assert found.provenance["units"] == found.notes[0]


# --- for a recording -----------------------------------------------------------------------------

SIZES = [(1280, 720)] * 3


def test_matched_by_name_never_by_position():
    found = calibration_for(calibration(), ["cam02", "cam00", "cam01_json"], SIZES)
    assert found.names == ("cam02", "cam00", "cam01_json")
    assert_same(found.cameras, calibration().cameras[[2, 0, 1]])
    assert "cam_2 → cam02" in found.notes[0]


def test_a_subset_and_unknown_sizes():
    found = calibration_for(calibration(), ["cam_2"], [None])
    assert_same(found.cameras, calibration().cameras[[2]])
    assert found.notes == ()


def test_the_section_title_is_a_name_too(tmp_path):
    write_calibration(calibration(), tmp_path / "c.toml")
    text = (tmp_path / "c.toml").read_text()
    for number in range(3):
        text = text.replace(f'name = "cam_{number}"', f'name = "serial{number + 70}"')
    (tmp_path / "c.toml").write_text(text)
    found = calibration_for(read_calibration(tmp_path / "c.toml"), ["cam1", "cam2", "cam0"], SIZES)
    assert_same(found.cameras, calibration().cameras[[1, 2, 0]])


def test_a_calibration_for_other_cameras_lists_both():
    with pytest.raises(
        ValueError,
        match=r"has no camera left, right\. .*cameras: cam_1, left, right; .*: cam_0, cam_1, cam_2",
    ) as caught:
        calibration_for(calibration(), ["left", "right", "cam_1"], SIZES)
    assert "never matches by position" in str(caught.value)


def test_swapped_width_and_height():
    with pytest.raises(
        ValueError, match=r"camera 'cam_1'.*1280×720.*720×1280: width and height are exchanged"
    ):
        calibration_for(calibration(), ["cam_0", "cam_1"], [(1280, 720), (720, 1280)])


def test_uncertainty_follows_its_camera():
    made = calibration()
    sure = Calibration(made.names, made.cameras, sigma={"cam_1": (0.1, 0.2)})
    assert calibration_for(sure, ["cam1", "cam0"], [None, None]).sigma == {"cam1": (0.1, 0.2)}


CLOCKS = {"cam_1": Clock(0.048, 1e-5, 0.001, 2e-7), "cam_2": Clock(-0.2, 0.0, 0.1, 0.1)}


def test_clocks_and_focal_sigma_go_round(tmp_path):
    write_calibration(replace(calibration(), clocks=CLOCKS, focal_sigma={"cam_0": 3.5}), tmp_path / "c.toml")
    found = read_calibration(tmp_path / "c.toml")
    assert found.clocks == CLOCKS
    assert found.focal_sigma == {"cam_0": 3.5}
    write_calibration(calibration(), tmp_path / "old.toml")
    assert "clocks" not in (tmp_path / "old.toml").read_text()
    assert read_calibration(tmp_path / "old.toml").clocks == {}


def test_clocks_belong_to_their_camera_and_to_the_recording():
    made = replace(calibration(), clocks=CLOCKS, focal_sigma={"cam_1": 2.0})
    assert made.select(["cam_2", "cam_0"]).clocks == {"cam_2": CLOCKS["cam_2"]}
    named = calibration_for(made, ["cam2", "cam1"], [None, (640, 360)], size_mismatch="resize")
    assert named.clocks == {"cam1": CLOCKS["cam_1"], "cam2": CLOCKS["cam_2"]}
    assert named.focal_sigma == {"cam1": pytest.approx(1.0)}, "half the picture, half the pixels"
    assert made.without_extrinsics().clocks == {}
    assert made.without_extrinsics().focal_sigma == {"cam_1": 2.0}


def test_only_a_clock_that_differs_changes_the_fingerprint():
    plain, late = calibration(), replace(calibration(), clocks=CLOCKS)
    assert replace(plain, clocks={"cam_0": Clock(0.0, 0.0, 0.1, 0.1)}).fingerprint == plain.fingerprint
    assert late.fingerprint != plain.fingerprint
    assert replace(plain, clocks={"cam_2": CLOCKS["cam_1"]}).fingerprint != late.fingerprint


def test_select_names_what_is_missing():
    with pytest.raises(LookupError, match="no camera x; this calibration has cam_0, cam_1, cam_2"):
        calibration().select(["x"])


# --- real files ----------------------------------------------------------------------------------


def test_toml_and_qualisys_agree_on_the_sample(shared_data):
    folder = shared_data / "pose2sim_single" / "calibration"
    toml, qca = (read_calibration(folder / name) for name in ("Calib_qualisys.toml", "Calib.qca.txt"))
    assert toml.names == qca.names == ("cam_01", "cam_02", "cam_03", "cam_04")
    assert float((toml.cameras.centres - qca.cameras.centres).norm(dim=-1).max()) < 1e-3
    torch.testing.assert_close(toml.cameras.intrinsics, qca.cameras.intrinsics, atol=1e-6, rtol=0)
    # Pose2Sim divides the distortion by 64; the Qualisys file has it as OpenCV does
    torch.testing.assert_close(toml.cameras.distortion * 64, qca.cameras.distortion, atol=1e-12, rtol=0)


def test_the_sample_has_the_size_trap_and_it_is_said(shared_data):
    found = read_calibration(shared_data / "pose2sim_single" / "calibration" / "Calib_qualisys.toml")
    names = [f"cam0{n}" for n in range(1, 5)]
    fitted = calibration_for(found, names, [(1080, 1920)] * 2 + [(1088, 1920)] * 2)
    assert [("cam01" in note and "1088×1920" in note) for note in fitted.notes].count(True) == 1
    assert sum("UNCHANGED" in note for note in fitted.notes) == 2


def test_caliscope(shared_data):
    folder = shared_data / "caliscope_charuco4cam"
    native, exported = (read_calibration(folder / name) for name in ("camera_array.toml", "config.toml"))
    assert native.names == exported.names == ("cam_0", "cam_1", "cam_2", "cam_3")
    assert_same(native.cameras, exported.cameras, tolerance=1e-9)
    assert native.provenance["units"].startswith("m, as stated")


def test_a_rotation_that_is_no_number_is_named_before_units_are_guessed(tmp_path):
    file = tmp_path / "nan.toml"
    file.write_text(
        "[left]\nname='left'\nsize=[10,10]\nmatrix=[[9,0,5],[0,9,5],[0,0,1]]\ndistortions=[0,0,0,0]\n"
        "rotation=[nan,0,0]\ntranslation=[0,0,1]\n"
    )
    with pytest.raises(ValueError, match="camera 'left' has a rotation that is not a number"):
        read_calibration(file)


def test_a_clock_of_nobody_is_refused(tmp_path):
    made = calibration(2)
    write_calibration(made, tmp_path / "a.toml")
    text = (tmp_path / "a.toml").read_text()
    (tmp_path / "b.toml").write_text(text + "\n[metadata.clocks.cam99]\noffset_s = 1.0\n")
    with pytest.raises(ValueError, match="a clock is given for cam99, and no camera has that name"):
        read_calibration(tmp_path / "b.toml")


def test_names_are_as_many_as_cameras():
    with pytest.raises(InputError, match=r"Calibration: 2 names for 3 cameras \(a, b\)"):
        calibration(names=("a", "b"))
