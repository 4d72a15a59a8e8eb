"""Every format is written and read back; a full disk loses nothing."""

import errno
import os
import subprocess
from dataclasses import replace

import pytest
import torch

from coview.capture.export import FORMATS, export_session
from coview.formats.motion.c3d import read_c3d
from coview.formats.motion.csv import read_csv
from coview.formats.motion.poses3d import Poses3D, read_poses_npz
from coview.formats.motion.trc import read_trc
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import BODY_25B

READ = {"trc": read_trc, "c3d": read_c3d, "csv": read_csv, "npz": read_poses_npz}


def session(path, frames=6, seed=0) -> Session:
    random = torch.Generator().manual_seed(seed)
    points = torch.randn(frames, 25, 3, generator=random)
    points[torch.rand(frames, 25, generator=random) < 0.2] = torch.nan
    covariance = torch.eye(3).expand(frames, 25, 3, 3) * 1e-4
    made = Session(path, "walk", 60.0, BODY_25B, (SessionCamera("a", None, None, frames),))
    made.save()
    Poses3D(points, covariance.contiguous(), None, None, 60.0, BODY_25B).save(made.poses3d_path)
    return made


def formats():
    try:
        import ezc3d  # noqa: F401
    except ImportError:
        return [name for name in FORMATS if name != "c3d"]
    return list(FORMATS)


def test_all_formats_agree_with_the_session(tmp_path):
    made = session(tmp_path)
    paths = export_session(made, formats())
    assert [path.name for path in paths] == [f"walk.{name}" for name in formats()]
    for path in paths:
        assert path.parent == made.exports_dir
        found = READ[path.suffix[1:]](path)
        torch.testing.assert_close(found.points, made.poses3d().points, atol=1e-6, rtol=0, equal_nan=True)
        assert (found.fps, found.skeleton) == (60.0, BODY_25B)


def test_every_format_keeps_the_number_of_the_first_frame(tmp_path):
    made = replace(session(tmp_path), first_frame=100)
    paths = export_session(made, formats())
    for path in paths:
        assert READ[path.suffix[1:]](path).first_frame == 100
    trc = paths[0].read_text().splitlines()
    assert trc[2].split("\t")[6] == "101"
    assert trc[5].split("\t")[:2] == ["101", f"{100 / 60:.6f}"]


def test_millimetres_on_request(tmp_path):
    [path] = export_session(session(tmp_path), ["trc"], trc_units="mm")
    assert "\tmm\t" in path.read_text().splitlines()[2]
    torch.testing.assert_close(
        read_trc(path).points, session(tmp_path).poses3d().points, atol=1e-6, rtol=0, equal_nan=True
    )


def test_messages(tmp_path):
    made = session(tmp_path)
    with pytest.raises(ValueError, match=r"cannot export to nothing. Known: trc, c3d, csv, npz"):
        export_session(made, [])
    made.poses3d_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no 3D joints: .*coview reconstruct"):
        export_session(made, ["csv"])


def test_nothing_known_is_no_success(tmp_path):
    made = session(tmp_path)
    Poses3D(torch.full((6, 25, 3), torch.nan), None, None, None, 60.0, BODY_25B).save(made.poses3d_path)
    with pytest.raises(
        ValueError, match="6 frames and not one known 3D joint, so there is nothing to export"
    ):
        export_session(made, ["csv"])
    assert not made.exports_dir.exists()


# --- a full disk ---------------------------------------------------------------------------------


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", formats())
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, name):
    made = session(tmp_path)
    export_session(made, [name])
    before = files(made.exports_dir)
    session(tmp_path, seed=1)  # newer joints

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"no space left .*walk.{name}.*the earlier walk.{name} is untouched"):
        export_session(made, [name])
    assert files(made.exports_dir) == before


@pytest.fixture
def tiny_disk(tmp_path):
    """A real disk of 64 KiB; needs the right to mount."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("no `mount` on this system")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True, timeout=20)


@pytest.mark.parametrize("name", formats())
def test_a_disk_that_really_is_full(tmp_path, tiny_disk, name):
    made = session(tmp_path / "s", frames=3)
    made.exports_dir.symlink_to(tiny_disk, target_is_directory=True)
    export_session(made, [name])
    before = files(tiny_disk)
    session(tmp_path / "s", frames=500)  # far more than fits
    with pytest.raises(
        OSError, match=r"no space left on the disk while writing .*Nothing was lost"
    ) as caught:
        export_session(made, [name])
    assert caught.value.errno == errno.ENOSPC
    assert files(tiny_disk) == before
