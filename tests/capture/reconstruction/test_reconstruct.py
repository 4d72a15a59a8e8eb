import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from coview.capture.calibration.from_people import calibrate_from_file
from coview.capture.judgement.of_session import judge_session
from coview.capture.reconstruction.reconstruct import (
    NothingReconstructedError,
    reconstruct,
    reconstruct_everybody,
)
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.session.session import Session

NAMES = ("cam_1", "cam_2", "cam_3", "cam_4")


@pytest.fixture
def recorded(tmp_path):
    """A calibrated session in the world of the truth, so that joints can be compared as they are."""
    path = tmp_path / "session"
    truth = generate(path, seed=2, minutes=0.2)
    write_calibration(Calibration(NAMES, truth.cameras), tmp_path / "true.toml")
    calibrate_from_file(Session.load(path), tmp_path / "true.toml")
    return path, truth


def errors_mm(points, truth):
    distance = 1000 * (points - truth.joints3d).norm(dim=-1)
    return distance[distance.isfinite()]


@pytest.mark.parametrize("solver", ["linear", "reprojection"])
def test_noisy_detections_give_joints_within_two_centimetres(recorded, solver):
    path, truth = recorded
    done = reconstruct(Session.load(path), solver=solver)
    assert errors_mm(done.poses.points, truth).mean() < 20
    assert done.found > 0.99
    assert 0.01 < done.left_out < 0.12  # the generator makes about 2 % of detections wrong


def test_smoothing_helps_and_is_written_down(recorded):
    path, truth = recorded
    rough = errors_mm(reconstruct(Session.load(path)).poses.points, truth).mean()
    done = reconstruct(Session.load(path), smooth=6.0)
    assert errors_mm(done.poses.points, truth).mean() < 0.9 * rough
    assert done.poses.provenance["smooth"] == "6 Hz"


def test_the_covariance_is_of_the_size_of_the_error(recorded):
    path, truth = recorded
    poses = reconstruct(Session.load(path), solver="reprojection", max_gap=0).poses
    error = (poses.points - truth.joints3d).norm(dim=-1)
    known = poses.points.isfinite().all(-1)
    sigma = poses.sigma[known].norm(dim=-1)
    ratio = error[known].square().mean().sqrt() / sigma.square().mean().sqrt()
    assert 0.4 < ratio < 1.6


def test_finished_work_is_kept_until_something_changes(recorded):
    path, _ = recorded
    first = reconstruct(Session.load(path))
    stamp = first.path.stat().st_mtime_ns
    assert reconstruct(Session.load(path)).path.stat().st_mtime_ns == stamp
    assert reconstruct(Session.load(path), smooth=5.0).path.stat().st_mtime_ns != stamp


def test_a_gap_longer_than_allowed_stays_a_gap(recorded):
    path, _ = recorded
    for name in NAMES:
        file = path / "joints2d" / f"{name}.npz"
        arrays = dict(np.load(file))
        key = max(arrays, key=lambda k: arrays[k].size)
        arrays[key] = arrays[key].copy()
        arrays[key][50:80] = np.nan
        np.savez(file, **arrays)
    poses = reconstruct(Session.load(path), max_gap=10).poses
    assert poses.points[52:78].isnan().all()
    assert reconstruct(Session.load(path), max_gap=40).poses.points[52:78].isfinite().all()


def test_nothing_found_is_an_error_and_writes_nothing(recorded):
    path, _ = recorded
    for name in NAMES:
        with np.load(path / "joints2d" / f"{name}.npz") as file:
            arrays = dict(file)
        key = max(arrays, key=lambda k: arrays[k].size)
        arrays[key] = arrays[key] * np.array([1, 1, 0], dtype=arrays[key].dtype)
        np.savez(path / "joints2d" / f"{name}.npz", **arrays)
    with pytest.raises(NothingReconstructedError, match=r"next to no joint could be placed.*cam_1: 0%"):
        reconstruct(Session.load(path))
    assert not Session.load(path).poses3d_path.exists()


def test_zero_confidence_joints_are_never_used(recorded):
    path, _ = recorded
    file = path / "joints2d" / "cam_1.npz"
    arrays = dict(np.load(file))
    key = max(arrays, key=lambda k: arrays[k].size)
    arrays[key] = arrays[key].copy()
    arrays[key][..., 2] = 0
    np.savez(file, **arrays)
    poses = reconstruct(Session.load(path)).poses
    assert not poses.inliers[:, 0].any()
    assert poses.residuals[:, 0].isnan().all()


def test_a_killed_run_loses_nothing_and_can_be_run_again(recorded):
    path, truth = recorded
    program = (
        "import coview.formats.io.atomic, coview.capture.reconstruction.reconstruct as stage, time, sys\n"
        "from pathlib import Path\n"
        "from coview.formats.session.session import Session\n"
        "import numpy as np\n"
        "save = np.savez_compressed\n"
        "def slow(file, *a, **k):\n"
        "    save(file, *a, **k); print('writing', flush=True); time.sleep(60)\n"
        "np.savez_compressed = slow\n"
        f"stage.reconstruct(Session.load(Path({str(path)!r})))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "writing\n"  # the temporary file is full, not yet in place
        running.send_signal(signal.SIGKILL)
    assert not Session.load(path).poses3d_path.exists()
    assert errors_mm(reconstruct(Session.load(path)).poses.points, truth).mean() < 20


def test_an_uncalibrated_session_says_what_to_do(tmp_path):
    generate(tmp_path / "raw", seed=0, minutes=0.05)
    with pytest.raises(FileNotFoundError, match=r"coview calibrate"):
        reconstruct(Session.load(tmp_path / "raw"))


def test_agrees_with_pose2sim_on_the_real_recording(tmp_path, shared_data):
    """Issue 2, done when 2: within 1 mm (median) of the shipped TRC, made by another program."""
    from coview.capture.importing.import_session import import_session
    from coview.formats.motion.trc import read_trc

    source = shared_data / "pose2sim_single" / "balancing"
    session = import_session(source, tmp_path / "beam")
    calibrate_from_file(session)
    poses = reconstruct(session).poses
    reference = read_trc(next(source.glob("pose-3d/*0-100.trc")))
    ours = poses.points[:, [poses.skeleton.index(joint) for joint in reference.skeleton.joints]]
    distance = 1000 * (ours - reference.points).norm(dim=-1)
    assert distance[distance.isfinite()].median() < 0.1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"min_confidence": 2.0}, r"min_confidence 2 is no confidence: it must be in \[0, 1\]"),
        ({"min_confidence": -1.0}, r"min_confidence -1 is no confidence"),
        ({"threshold": -1.0}, r"threshold -1 must be above 0 pixels"),
        ({"max_gap": -3}, r"max_gap -3 must be 0"),
        ({"smooth": 100.0}, r"between 0 and 12.5 Hz"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(recorded, settings, says):
    with pytest.raises(ValueError, match=says):
        reconstruct(Session.load(recorded[0]), **settings)


def test_refined_is_nearer_the_truth_and_written_down(recorded):
    path, truth = recorded
    rough = errors_mm(reconstruct(Session.load(path)).poses.points, truth).mean()
    done = reconstruct(Session.load(path), refine=True)
    assert errors_mm(done.poses.points, truth).mean() < 0.75 * rough
    assert done.found > 0.99
    assert done.poses.provenance["refine"] == "yes"
    assert "bone lengths vary by" in done.poses.provenance["refined"]
    stamp = done.path.stat().st_mtime_ns
    assert reconstruct(Session.load(path), refine=True).path.stat().st_mtime_ns == stamp
    assert reconstruct(Session.load(path)).poses.provenance["refine"] == "no"


def test_refining_and_filtering_exclude_each_other(recorded):
    with pytest.raises(ValueError, match="leave smooth out"):
        reconstruct(Session.load(recorded[0]), refine=True, smooth=6.0)


@pytest.mark.parametrize("refine", [False, True])
def test_one_camera_or_no_frames_are_named(recorded, refine):
    session = Session.load(recorded[0])
    alone = replace(session, cameras=session.cameras[:1])
    with pytest.raises(NothingReconstructedError, match=r"has one camera \(.*\), and one ray has no depth"):
        reconstruct(alone, refine=refine)
    empty = replace(session, cameras=tuple(replace(c, frames=0) for c in session.cameras))
    with pytest.raises(NothingReconstructedError, match="has no frames"):
        reconstruct(empty, refine=refine)


def test_cameras_are_judged_once_for_everybody_and_not_for_what_is_finished(recorded, monkeypatch):
    session, judged = Session.load(recorded[0]), []

    def judge(*args, **options):
        judged.append(1)
        return judge_session(*args, **options)

    monkeypatch.setattr("coview.capture.reconstruction.reconstruct.judge_session", judge)
    reconstruct_everybody(session, min_confidence=0.31)
    assert len(judged) == 1
    reconstruct_everybody(session, min_confidence=0.31)
    assert len(judged) == 1
