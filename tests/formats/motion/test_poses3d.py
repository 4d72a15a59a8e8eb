"""The npz of 3D joints holds everything, says its units, and is never a pickle."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.motion.poses3d import Poses3D, read_poses_npz, write_npz
from coview.skeletons import COCO_17, H36M_17, Skeleton


def poses(seed=0, frames=4, views=3, full=True, skeleton=H36M_17) -> Poses3D:
    random = torch.Generator().manual_seed(seed)
    joints = len(skeleton)
    points = torch.randn(frames, joints, 3, generator=random)
    root = torch.randn(frames, joints, 3, 3, generator=random) * 0.01
    covariance = root @ root.mT
    gap = torch.rand(frames, joints, generator=random) < 0.2
    points[gap], covariance[gap] = torch.nan, torch.nan
    inliers = torch.rand(frames, views, joints, generator=random) < 0.5
    residuals = torch.rand(frames, views, joints, generator=random)
    extras = (covariance, inliers, residuals) if full else (None, None, None)
    return Poses3D(points, *extras, 50.0, skeleton, {"calibration_hash": "abc", "method": "test"})


@given(st.integers(0, 2**31), st.integers(0, 6), st.integers(1, 4), st.booleans())
@settings(deadline=None, max_examples=20)
def test_round_trip(tmp_path_factory, seed, frames, views, full):
    path = tmp_path_factory.mktemp("npz") / "poses.npz"
    given = poses(seed, frames, views, full)
    given.save(path)
    found = Poses3D.load(path)
    assert (found.fps, found.skeleton, found.provenance) == (given.fps, given.skeleton, given.provenance)
    for name in ("points", "covariance", "inliers", "residuals"):
        old, new = getattr(given, name), getattr(found, name)
        assert (old is None) == (new is None)
        if old is not None:
            torch.testing.assert_close(new, old, rtol=0, atol=0, equal_nan=True)


def test_what_the_file_says(tmp_path):
    write_npz(poses(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        words = {
            key: str(file[key]) for key in ("units", "up_axis", "handedness", "calibration_hash", "skeleton")
        }
        assert tuple(file["joint_names"]) == H36M_17.joints
        assert str(file["software"]).startswith("coview ")
        assert float(file["fps"]) == 50
    assert words == {
        "units": "m",
        "up_axis": "z",
        "handedness": "right",
        "calibration_hash": "abc",
        "skeleton": "h36m_17",
    }


def test_a_skeleton_of_ones_own(tmp_path):
    own = Skeleton("own", ("a", "b"), (), "a")
    write_npz(poses(skeleton=own), tmp_path / "a.npz")
    assert read_poses_npz(tmp_path / "a.npz").skeleton == own


def test_sigma_is_the_root_of_the_diagonal():
    covariance = torch.diag(torch.tensor([0.04, 0.09, 0.16])).expand(1, 17, 3, 3)
    given = Poses3D(torch.zeros(1, 17, 3), covariance, None, None, 1.0, H36M_17)
    torch.testing.assert_close(given.sigma[0, 0], torch.tensor([0.2, 0.3, 0.4]))
    assert poses(full=False).sigma is None


def test_the_skeleton_must_fit():
    with pytest.raises(ValueError, match="16 joints given, and skeleton 'coco_17' has 17"):
        Poses3D(torch.zeros(1, 16, 3), None, None, None, 1.0, COCO_17)


def test_other_files_are_named(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz holds no 3D joints of coview: 'units' is missing"):
        read_poses_npz(tmp_path / "other.npz")
    (tmp_path / "bad.npz").write_bytes(pickle.dumps({"points": 1}))
    with pytest.raises(ValueError, match=r"bad.npz is not an npz file of plain arrays"):
        read_poses_npz(tmp_path / "bad.npz")


def test_foreign_conventions_are_refused(tmp_path):
    write_npz(poses(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "b.npz", **arrays | {"units": np.array("mm")})
    with pytest.raises(ValueError, match=r"b.npz cannot be read as 3D joints: it holds \{'units': 'mm'\}"):
        read_poses_npz(tmp_path / "b.npz")
