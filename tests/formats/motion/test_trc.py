"""TRC: what OpenSim and Pose2Sim expect, and back into our world."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.motion.poses3d import Poses3D
from coview.formats.motion.trc import read_trc, write_trc
from coview.skeletons import BODY_25B, H36M_17


def poses(seed=0, frames=5, skeleton=BODY_25B, fps=60.0) -> Poses3D:
    random = torch.Generator().manual_seed(seed)
    points = torch.randn(frames, len(skeleton), 3, generator=random)
    points[torch.rand(frames, len(skeleton), generator=random) < 0.3] = torch.nan
    return Poses3D(points, None, None, None, fps, skeleton)


@given(
    st.integers(0, 2**31),
    st.integers(1, 6),
    st.sampled_from(["m", "mm"]),
    st.sampled_from([25.0, 29.97, 60.0]),
)
@settings(deadline=None, max_examples=25)
def test_round_trip(tmp_path_factory, seed, frames, units, fps):
    path = tmp_path_factory.mktemp("trc") / "a.trc"
    given = poses(seed, frames, fps=fps)
    write_trc(given, path, units=units)
    found = read_trc(path)
    torch.testing.assert_close(found.points, given.points, atol=1e-6, rtol=0, equal_nan=True)
    assert (found.skeleton, found.fps) == (given.skeleton, fps)


def test_the_text(tmp_path):
    points = torch.full((2, 17, 3), torch.nan)
    points[0, 0] = torch.tensor([1.0, 2.0, 3.0])  # x, y, z up
    write_trc(Poses3D(points, None, None, None, 50.0, H36M_17), tmp_path / "walk.trc")
    lines = (tmp_path / "walk.trc").read_text().split("\n")
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\twalk.trc"
    assert lines[2] == "50\t50\t2\t17\tm\t50\t1\t2"
    assert lines[3].startswith("Frame#\tTime\tHip\t\t\tRHip\t\t\tRKnee\t")
    assert lines[4].startswith("\t\tX1\tY1\tZ1\tX2")
    # y up, x forward: columns are our y, z, x (the axes of Pose2Sim); gaps are blank, never NaN
    assert lines[5] == "1\t0.000000\t2.000000\t3.000000\t1.000000" + "\t" * 49
    assert lines[6] == "2\t0.020000" + "\t" * 52
    assert len(lines) == 8
    assert lines[7] == ""


def test_axes_stay_right_handed(tmp_path):
    axes = torch.eye(3).expand(17, 3, 3).transpose(0, 1).contiguous()  # frame n: unit vector n
    write_trc(Poses3D(axes, None, None, None, 1.0, H36M_17), tmp_path / "a.trc")
    rows = [line.split("\t")[2:5] for line in (tmp_path / "a.trc").read_text().splitlines()[5:]]
    assert np.linalg.det(np.array(rows, dtype=float)) == pytest.approx(1)


def test_the_sample_of_pose2sim(shared_data):
    # README: X_w = Z_trc, Y_w = X_trc, Z_w = Y_trc; the same numbers are in balancing_arrays.npz
    folder = shared_data / "pose2sim_single" / "balancing"
    found = read_trc(folder / "pose-3d" / "S00_P00_T01_BalancingTrial_0-100.trc")
    with np.load(folder / "balancing_arrays.npz") as arrays:
        expected = torch.from_numpy(arrays["xyz_world_m"]).float()
    torch.testing.assert_close(found.points, expected, rtol=0, atol=1e-6, equal_nan=True)
    assert found.fps == 60
    assert found.skeleton.joints[:4] == ("right_hip", "right_knee", "right_ankle", "right_big_toe")
    assert "head_top" in found.skeleton.joints


def test_opensims_empty_line_cut_off_blanks_and_nan_are_read(tmp_path):
    write_trc(poses(frames=2), tmp_path / "a.trc")
    lines = (tmp_path / "a.trc").read_text().splitlines()
    lines[5] = "1\t0\tnan\tNaN\tnan\t1\t2\t3"
    (tmp_path / "b.trc").write_text("\r\n".join([*lines[:5], "", *lines[5:], ""]))
    found = read_trc(tmp_path / "b.trc").points
    assert found.shape == (2, 25, 3)
    assert found[0, 0].isnan().all()
    assert found[0, 1].tolist() == [3, 1, 2]
    assert found[0, 2:].isnan().all()


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "junk", "is not a TRC file"),
        (2, "60\t60\t1\t25\tinch", r"line 3: units are 'inch'; understood are m, cm, mm"),
        (2, "fast\t60\t1\t25\tm", r"line 3: 'fast' is no number"),
        (3, "Frame#\tTime", "line 4: no marker names"),
        (5, "1\t0\tx", r"a.trc, line 6: 'x' is no number"),
        (5, "1\t0" + "\t1" * 76, r"line 6: 76 coordinates for 25 markers"),
    ],
)
def test_messages(tmp_path, line, text, message):
    path = tmp_path / "a.trc"
    write_trc(poses(frames=1), path)
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        read_trc(path)


def test_the_first_frame_is_that_of_the_recording(tmp_path):
    given = replace(poses(frames=3, fps=50.0), first_frame=1200)
    write_trc(given, tmp_path / "a.trc")
    lines = (tmp_path / "a.trc").read_text().splitlines()
    assert lines[2].split("\t")[6] == "1201"
    assert [line.split("\t")[:2] for line in lines[5:]] == [
        ["1201", "24.000000"],
        ["1202", "24.020000"],
        ["1203", "24.040000"],
    ]
    assert read_trc(tmp_path / "a.trc").first_frame == 1200


# in a process of its own: its import warns, and its errors are not always exceptions
_OPENSIM = """
import json, sys, opensim
table = opensim.TimeSeriesTableVec3(sys.argv[1])
rows = [[[row[c][i] for i in range(3)] for c in range(table.getNumColumns())]
        for row in (table.getRowAtIndex(n) for n in range(table.getNumRows()))]
print("READ", json.dumps([list(table.getIndependentColumn()), list(table.getColumnLabels()), rows]))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("opensim") is None,
    reason="opensim is not installed: pip install 'coview[exports]'",
)
def test_opensim_reads_it(tmp_path):
    """With blanks at the end of a row, at its beginning, and in the whole of one."""
    given = replace(poses(frames=5, fps=50.0), first_frame=10)
    given.points[0, -1] = given.points[1, 0] = given.points[2] = torch.nan
    write_trc(given, tmp_path / "a.trc")
    done = subprocess.run(
        [sys.executable, "-c", _OPENSIM, str(tmp_path / "a.trc")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("READ "))
    times, names, rows = json.loads(line.removeprefix("READ "))
    assert times == pytest.approx([0.2, 0.22, 0.24, 0.26, 0.28])
    assert names[:2] == ["Nose", "LEye"]
    # OpenSim's y is up: x, y, z there are our y, z, x
    np.testing.assert_allclose(np.array(rows)[..., [2, 0, 1]], given.points.numpy(), atol=1e-6)
