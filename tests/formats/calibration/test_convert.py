"""Calibrations through other programs' formats and back: the same pixels, or a reason why not."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.cameras import Cameras
from coview.formats.calibration.calibration import Calibration, read_calibration, write_calibration
from coview.formats.calibration.clock import Clock
from coview.formats.calibration.convert import largest_difference, target_format, write_converted
from coview.formats.calibration.registry import FORMATS

FOLDERS = {"opencap", "easymocap", "opencv", "colmap", "biocv"}
FILES = {"qualisys": "b.qca.txt", "vicon": "b.xcp", "panoptic": "b.json", "caliscope": "camera_array.toml"}
BY_KEY = {form.key: form for form in FORMATS}


def place(folder, key):
    return folder / ("b" if key in FOLDERS else FILES.get(key, "b.toml"))


def rig(seed=0, views=4, coefficients=range(5), fisheye=False, skew=0.0) -> Calibration:
    """Cameras about a person, upright and looking inwards, each with another lens."""
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape, low=-1.0, high=1.0):
        return low + (high - low) * torch.rand(*shape, generator=random, dtype=torch.float64)

    angle = 2 * torch.pi * torch.arange(views) / views + uniform(views) * 0.3
    centres = torch.stack([4 * angle.cos(), 4 * angle.sin(), 1.5 + 0 * angle], -1) + uniform(views, 3)
    forward = torch.nn.functional.normalize(uniform(views, 3) * 0.3 - centres, dim=-1)
    down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64).expand(views, 3) + uniform(views, 3) * 0.1
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)
    translation = -(rotation @ centres[..., None])
    matrix = torch.zeros(views, 3, 3, dtype=torch.float64)
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 2, 2] = *(1100 + 100 * uniform(2, views)), 1.0
    matrix[:, 0, 2], matrix[:, 1, 2] = 640 + 30 * uniform(views), 360 + 30 * uniform(views)
    matrix[:, 0, 1] = skew
    distortion = torch.zeros(views, 8, dtype=torch.float64)
    for index in coefficients:
        distortion[:, index] = uniform(views) * (0.002 if index in (2, 3) else 0.05)
    size = torch.tensor([1280.0, 720.0], dtype=torch.float64).repeat(views, 1)
    cameras = Cameras(
        matrix, torch.cat([rotation, translation], -1), size, distortion, torch.full((views,), fisheye)
    )
    return Calibration(tuple(f"cam_{n + 1}" for n in range(views)), cameras)


@pytest.mark.parametrize("key", sorted(BY_KEY))
@given(seed=st.integers(0, 2**31), views=st.integers(2, 5))
@settings(deadline=None, max_examples=5)
def test_there_and_back_the_same_pixels(tmp_path_factory, key, seed, views):
    folder = tmp_path_factory.mktemp("there")
    form = BY_KEY[key]
    coefficients = sorted(form.coefficients) if seed % 3 else [0, 1]
    write_calibration(rig(seed, views, coefficients, skew=0.5 if form.skew else 0.0), folder / "a.toml")
    first = read_calibration(folder / "a.toml")
    there = write_converted(first, place(folder, key), form)
    assert there.difference_px < 1e-6
    middle = read_calibration(place(folder, key))
    assert middle.provenance["units"].split(",")[0] == {"colmap": "m"}.get(key, form.unit)
    write_calibration(middle, folder / "again.toml")
    last = read_calibration(folder / "again.toml").select(first.names)
    assert largest_difference(first.cameras, last.cameras) < 1e-6
    torch.testing.assert_close(last.cameras.centres, first.cameras.centres, atol=1e-9, rtol=0)


@pytest.mark.parametrize("key", [form.key for form in FORMATS if form.fisheye])
def test_fisheye_lenses_go_round(tmp_path, key):
    first = rig(coefficients=range(4), fisheye=True)
    assert write_converted(first, place(tmp_path, key), BY_KEY[key]).difference_px < 1e-6
    assert bool(read_calibration(place(tmp_path, key)).cameras.fisheye.all())


@pytest.mark.parametrize("key", [form.key for form in FORMATS if form.intrinsics_only])
def test_lenses_alone_go_round(tmp_path, key):
    first = rig().without_extrinsics()
    write_converted(first, place(tmp_path, key), BY_KEY[key])
    found = read_calibration(place(tmp_path, key))
    assert not found.has_extrinsics
    assert largest_difference(first.cameras, found.select(first.names).cameras) < 1e-6


def refused(calibration, folder, key):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the caller looks at the words
        write_converted(calibration, place(folder, key), BY_KEY[key])
    assert list(folder.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_what_a_format_cannot_hold_is_refused_with_a_way_out(tmp_path, form):
    if not form.fisheye:
        said = refused(rig(coefficients=[0], fisheye=True), tmp_path, form.key)
        assert "camera 'cam_1' has a fisheye lens" in said
        assert "colmap or opencv or anipose (--to), or undistort" in said
    if not form.intrinsics_only:
        assert "holds intrinsics only" in refused(rig().without_extrinsics(), tmp_path, form.key)
    if not form.skew:
        assert "has skew (2), which" in refused(rig(skew=2.0, coefficients=[0]), tmp_path, form.key)
    if form.coefficients == frozenset(range(5)):
        said = refused(rig(coefficients=range(8)), tmp_path, form.key)
        assert (
            "cannot hold k4, k5, k6 of its distortion, and without them pixels would be off by up to" in said
        )


def test_vicon_has_no_tangential_distortion(tmp_path):
    assert "cannot hold p1, p2 of its distortion" in refused(rig(), tmp_path, "vicon")


def test_uncertainties_and_clocks_are_said_to_be_lost(tmp_path):
    sure = replace(rig(), sigma={"cam_1": (0.01, 0.01)}, clocks={"cam_2": Clock(0.02)})
    lost = " ".join(write_converted(sure, tmp_path / "b.json", BY_KEY["panoptic"]).lost)
    assert "lost: the standard deviations" in lost
    assert "cam_2 +20.0 ms" in lost
    assert "turned from z up to Panoptic's −y up" in lost
    assert write_converted(sure, tmp_path / "b.toml", BY_KEY["anipose"]).lost == ()


def test_names_a_format_cannot_hold_are_changed_and_said(tmp_path):
    named = replace(rig(views=2), names=("left cam", "right cam"))
    assert "left cam → left_cam" in write_converted(named, tmp_path / "b", BY_KEY["easymocap"]).lost[0]
    assert (
        "left cam → cam_0"
        in write_converted(named, tmp_path / "camera_array.toml", BY_KEY["caliscope"]).lost[0]
    )
    clash = replace(named, names=("a b", "a_b"))
    with pytest.raises(ValueError, match="would call the cameras a b, a_b all 'a_b'"):
        write_converted(clash, tmp_path / "c", BY_KEY["easymocap"])
    with pytest.raises(ValueError, match=r"camera '\.\./x' cannot be the name of a file"):
        write_converted(replace(named, names=("../x", "y")), tmp_path / "c", BY_KEY["biocv"])


def test_one_file_per_camera_needs_a_folder(tmp_path):
    with pytest.raises(
        ValueError, match=r"one file per camera, and there are 4: name a folder instead of 'b.calib'"
    ):
        write_converted(rig(), tmp_path / "b.calib", BY_KEY["biocv"])
    one = rig().select(["cam_2"])
    for name, key in (("x.calib", "biocv"), ("x.pickle", "opencap"), ("x.yml", "opencv")):
        write_converted(one, tmp_path / name, BY_KEY[key])
        assert largest_difference(read_calibration(tmp_path / name).cameras, one.cameras) < 1e-6


def test_nothing_is_overwritten_unasked(tmp_path):
    write_converted(rig(), tmp_path / "b.json", BY_KEY["panoptic"])
    with pytest.raises(
        FileExistsError, match=r"b\.json is there already\. Choose another name, or pass --overwrite"
    ):
        write_converted(rig(1), tmp_path / "b.json", BY_KEY["panoptic"])
    write_converted(rig(1), tmp_path / "b.json", BY_KEY["panoptic"], overwrite=True)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *(
            ("a.toml", "anipose"),
            ("camera_array.toml", "caliscope"),
            ("a.qca.txt", "qualisys"),
            ("a.xcp", "vicon"),
        ),
        *(("a.pkl", "opencap"), ("intri.yml", "easymocap"), ("a.yaml", "opencv"), ("cameras.txt", "colmap")),
        *(("a.json", "panoptic"), ("a.calib", "biocv")),
    ],
)
def test_the_name_tells_the_format(tmp_path, name, key):
    assert target_format(tmp_path / name, None).key == key
    assert target_format(tmp_path / name, "biocv").key == "biocv"


def test_a_name_that_tells_nothing(tmp_path):
    with pytest.raises(
        ValueError, match=r"'folder' does not tell a calibration format\. Pass --to FORMAT.*biocv: a"
    ):
        target_format(tmp_path / "folder", None)
    with pytest.raises(
        ValueError, match=r"no calibration format 'x'\. Known: 4d_association, anipose, biocv"
    ):
        target_format(tmp_path / "folder", "x")


def test_the_difference_sees_what_matters():
    one = rig().cameras
    assert largest_difference(one, one) == 0
    assert largest_difference(one, replace(one, cam_from_world=-one.cam_from_world)) == float("inf")
    assert largest_difference(one, rig().without_extrinsics().cameras) == float("inf")
    shifted = one.intrinsics.clone()
    shifted[0, 0, 2] += 0.5
    assert largest_difference(one, replace(one, intrinsics=shifted)) == pytest.approx(0.5)


def test_real_calibrations_through_every_format(shared_data, tmp_path):
    """A Qualisys and a Caliscope calibration of real cameras; their lenses have tangential distortion and k3."""
    for source in ("pose2sim_single/calibration/Calib.qca.txt", "caliscope_charuco4cam/camera_array.toml"):
        given = read_calibration(shared_data / source)
        for form in FORMATS:
            if form.key == "vicon":
                continue  # refused: tangential distortion
            target = place(tmp_path / source.split("/")[0] / form.key, form.key)
            assert write_converted(given, target, form).difference_px < 1e-6
