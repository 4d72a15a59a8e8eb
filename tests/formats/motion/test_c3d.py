"""C3D through ezc3d: millimetres, z up, missing joints as the format has them."""

import builtins
from dataclasses import replace

import pytest
import torch

from coview.formats.motion.c3d import read_c3d, write_c3d
from coview.formats.motion.poses3d import Poses3D
from coview.skeletons import BODY_25B

ezc3d = pytest.importorskip("ezc3d", reason="the extra 'mocap' is not installed")


def poses(frames=6, views=9) -> Poses3D:
    random = torch.Generator().manual_seed(0)
    points = torch.randn(frames, 25, 3, generator=random)
    sigma = torch.randint(1, 60, (frames, 25), generator=random) / 1000
    gap = torch.rand(frames, 25, generator=random) < 0.3
    points[gap], sigma[gap] = torch.nan, torch.nan
    covariance = torch.diag_embed(sigma[..., None].expand(-1, -1, 3).square())
    inliers = torch.rand(frames, views, 25, generator=random) < 0.5
    return Poses3D(points, covariance, inliers, None, 59.94, BODY_25B)


def test_round_trip(tmp_path):
    given = poses()
    write_c3d(given, tmp_path / "a.c3d")
    found = read_c3d(tmp_path / "a.c3d")
    torch.testing.assert_close(found.points, given.points, atol=1e-6, rtol=0, equal_nan=True)
    torch.testing.assert_close(found.sigma, given.sigma, atol=1e-6, rtol=0, equal_nan=True)
    assert found.skeleton == given.skeleton
    assert found.fps == pytest.approx(given.fps, abs=1e-4)


def test_what_other_programs_read(tmp_path):
    given = poses()
    write_c3d(given, tmp_path / "a.c3d")
    file = ezc3d.c3d(str(tmp_path / "a.c3d"))
    point = {key: value["value"] for key, value in file["parameters"]["POINT"].items() if "value" in value}
    assert (point["UNITS"], point["X_SCREEN"], point["Y_SCREEN"]) == (["mm"], ["+X"], ["+Z"])
    assert point["LABELS"][:2] == ["Nose", "LEye"]
    gap = given.points.isnan().any(dim=-1)
    residuals = torch.from_numpy(file["data"]["meta_points"]["residuals"][0].T)
    assert (residuals[gap] == -1).all()
    torch.testing.assert_close(residuals[~gap], given.sigma[..., 0][~gap].double() * 1000, atol=0.01, rtol=0)
    masks = torch.from_numpy(file["data"]["meta_points"]["camera_masks"]).permute(2, 0, 1)
    used = given.inliers[:, :7] & ~gap[:, None]  # bits for seven cameras; none for a missing joint
    assert torch.equal(masks.bool(), used)


def test_without_uncertainty(tmp_path):
    given = poses()
    write_c3d(Poses3D(given.points, None, None, None, 60.0, BODY_25B), tmp_path / "a.c3d")
    found = read_c3d(tmp_path / "a.c3d")
    torch.testing.assert_close(found.points, given.points, atol=1e-6, rtol=0, equal_nan=True)
    assert found.covariance is None


def test_y_up_files_of_others(tmp_path):
    # Pose2Sim: X_SCREEN +Z, Y_SCREEN +Y, metres possible; our world is (z, x, y) of such a file
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["m"]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["RHip", "Sternum"]
    file.add_parameter("POINT", "Y_SCREEN", ["+Y"])
    points = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).T[..., None].numpy()
    file["data"]["points"] = torch.cat([torch.from_numpy(points), torch.ones(1, 2, 1)]).numpy()
    file.write(str(tmp_path / "a.c3d"))
    found = read_c3d(tmp_path / "a.c3d")
    assert found.points[0].tolist() == [[3, 1, 2], [6, 4, 5]]
    assert found.skeleton.joints == ("right_hip", "sternum")
    assert found.covariance is None, "another program's residual is no standard deviation"


def test_too_many_frames(tmp_path):
    many = Poses3D(torch.zeros(65_536, 25, 3), None, None, None, 60.0, BODY_25B)
    with pytest.raises(ValueError, match=r"at most 65535, and there are 65536\. Export to TRC, CSV or npz"):
        write_c3d(many, tmp_path / "a.c3d")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "ezc3d":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'coview\[mocap\]'"):
        write_c3d(poses(), tmp_path / "a.c3d")


def test_files_cut_short_are_refused_before_ezc3d_crashes(tmp_path):
    write_c3d(poses(frames=50), tmp_path / "a.c3d")
    whole = (tmp_path / "a.c3d").read_bytes()
    for size in (100, 5000, len(whole) // 2):
        (tmp_path / "b.c3d").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"b.c3d (was cut short|is not a C3D file)"):
            read_c3d(tmp_path / "b.c3d")
    with pytest.raises(FileNotFoundError, match="no file"):
        read_c3d(tmp_path / "nothing.c3d")


def test_the_first_frame_is_that_of_the_recording(tmp_path):
    write_c3d(replace(poses(), first_frame=100), tmp_path / "a.c3d")
    read = ezc3d.c3d(str(tmp_path / "a.c3d"))
    assert read["header"]["points"]["first_frame"] == 100
    # the file itself counts from 1
    assert int.from_bytes((tmp_path / "a.c3d").read_bytes()[6:8], "little") == 101
    assert read_c3d(tmp_path / "a.c3d").first_frame == 100


@pytest.mark.parametrize("first", [65_529, 65_530, 100_000, 250_000])
def test_a_first_frame_beyond_16_bits(tmp_path, first):
    write_c3d(replace(poses(), first_frame=first), tmp_path / "a.c3d")
    found = read_c3d(tmp_path / "a.c3d")
    assert found.first_frame == first
    assert len(found.points) == 6
