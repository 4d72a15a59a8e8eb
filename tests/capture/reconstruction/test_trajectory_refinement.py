"""Refined takes: nearer the truth, sure as they say, honest about what nobody saw."""

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.capture.calibration.from_people import calibrate_from_people
from coview.capture.importing.import_session import import_session
from coview.capture.reconstruction import trajectory_refinement as module
from coview.capture.reconstruction.motion_quality import bone_length_std, jitter
from coview.capture.reconstruction.trajectory_refinement import refine
from coview.data.mocap.clips import read_clips
from coview.data.synthetic.recordings import ring_cameras
from coview.formats.session.synchronised_tracks import session_tracks
from coview.geometry.triangulation.undistorted import (
    reprojection_residuals,
    triangulate_robust_undistorted,
)
from coview.skeletons import H36M_17

BONES = H36M_17.bone_indices


def seen(truth, *, noise=3.0, outliers=0.05, missing=0.0, views=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    cameras = ring_cameras(views).to(torch.float64)
    pixels = cameras.project(truth[:, None])
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    chance, gone, angle = torch.rand(3, *pixels.shape[:-1], generator=generator, dtype=torch.float64)
    away = 80 * torch.stack([(2 * torch.pi * angle).cos(), (2 * torch.pi * angle).sin()], dim=-1)
    pixels = pixels + (chance < outliers)[..., None] * away
    pixels = torch.where((gone >= missing)[..., None], pixels, torch.nan)
    return pixels, cameras.pixels_from_world, (gone >= missing).double()


def both(truth, bones=BONES, fps=50.0, hidden=None, **how):
    """The triangulation and the refined take."""
    pixels, projections, weights = seen(truth, **how)
    if hidden is not None:
        weights[hidden] = 0.0
    start = triangulate_robust_undistorted(pixels, projections, weights, threshold=15.0, sigma=5.0)
    return start, refine(pixels, projections, weights, start, bones, fps, sigma=5.0)


def mean_mm(points, truth):
    return float((1000 * (points - truth).norm(dim=-1)).nanmean())


@pytest.fixture(scope="module")
def truth():
    return random_motion(300, fps=50.0, seed=1).double()


def test_outliers_and_noise(truth):
    start, refined = both(truth)
    assert mean_mm(refined.points, truth) < 6.5 < 12 < mean_mm(start.points, truth)
    assert bone_length_std(refined.points, BONES) < 0.3 * bone_length_std(start.points, BONES)
    assert jitter(refined.points) < 0.2 * jitter(start.points)
    assert abs(float(refined.noise.median()) - 3.0) < 0.4, "pixels, whatever sigma the start assumed"


def test_the_covariance_is_of_the_size_of_the_error(truth):
    for how in ({"outliers": 0.0}, {}, {"missing": 0.3}):
        _, refined = both(truth, **how)
        off = (refined.points - truth)[..., None]
        squared = (off.mT @ torch.linalg.inv(refined.covariance) @ off)[..., 0, 0]
        assert 0.5 < float(squared.nanmean()) / 3 < 2.5, how


def test_bones_help_and_a_soft_one_does_no_harm(truth):
    with_bones, without = both(truth)[1], both(truth, bones=())[1]
    assert mean_mm(with_bones.points, truth) < 0.85 * mean_mm(without.points, truth)
    nonsense = [(3, 6), (13, 16), (3, 16)]  # feet and hands keep no distance
    assert mean_mm(both(truth, bones=nonsense)[1].points, truth) < 1.05 * mean_mm(without.points, truth)


def test_short_gaps_are_filled_and_long_ones_stay_gaps(truth):
    hidden = torch.zeros(300, 4, 17, dtype=torch.bool)
    hidden[50:54, :, 13] = True
    hidden[100:200, :, 16] = True
    start, refined = both(truth, hidden=hidden, outliers=0.0)
    assert start.points[50:54, 13].isnan().all()
    assert mean_mm(refined.points[50:54, 13], truth[50:54, 13]) < 40
    assert refined.points[125:175, 16].isnan().all()
    off = (refined.points - truth)[100:200, 16].norm(dim=-1)
    assert float(off[off.isfinite()].max()) < 4 * module.MOST_SIGMA


def test_nothing_is_told_before_the_first_sighting_or_after_the_last(truth):
    hidden = torch.zeros(300, 4, 17, dtype=torch.bool)
    hidden[:4, :, 3] = hidden[297:, :, 3] = True
    start, refined = both(truth, hidden=hidden)
    there, seen_first = refined.points.isfinite().all(dim=-1), start.points.isfinite().all(dim=-1)
    assert not there[:4, 3].any()
    assert not there[297:, 3].any()
    assert there[4:297, 3].all()
    assert seen_first[4, 3], "the case is the one meant"


def test_a_joint_nobody_saw_is_not_known(truth):
    hidden = torch.zeros(300, 4, 17, dtype=torch.bool)
    hidden[:, :, 13] = True
    assert both(truth, hidden=hidden)[1].points[:, 13].isnan().all()


def test_windows_meet(truth, monkeypatch):
    whole = both(truth)[1].points
    monkeypatch.setattr(module, "WINDOW", 100)
    parts = both(truth)[1].points
    assert parts.shape == whole.shape
    assert float((parts - whole).norm(dim=-1).nanmean()) < 0.002


def test_a_handful_of_frames_is_refused(truth):
    with pytest.raises(ValueError, match="a take of 5 frames is too short"):
        both(truth[:5])


def test_fast_real_motion_is_not_smoothed_away(shared_data):
    clips = {c.name: c for split in ("test", "val") for c in read_clips(shared_data / "mocap_cmu", split)}
    for name in ("convseq_test_running_1", "cmu_charleston2_s2"):
        clip = clips[name]
        points = clip.points.double()
        points = points - points.flatten(0, 1).mean(dim=0) * torch.tensor([1.0, 1.0, 0.0])
        for noise in (0.5, 3.0):
            start, refined = both(points, clip.skeleton.bone_indices, clip.fps, noise=noise, outliers=0.02)
            sudden = (points[2:] - 2 * points[1:-1] + points[:-2]).norm(dim=-1).amax(dim=-1)
            fast = 1 + (sudden > sudden.quantile(0.9)).nonzero()[:, 0]
            assert mean_mm(refined.points[fast], points[fast]) < mean_mm(start.points[fast], points[fast])


def test_a_camera_left_out_of_a_real_take_agrees_better(shared_data, tmp_path):
    session = import_session(shared_data / "pose2sim_single" / "balancing", tmp_path / "s")
    cameras = calibrate_from_people(session, stature=1.75).calibration.cameras.to(torch.float64)
    pixels, confidence = session_tracks(session)
    weights = torch.where(confidence >= 0.3, confidence, 0.0).double()
    perfect, straight = cameras.undistorted(pixels.double())
    projections, misses = perfect.pixels_from_world, ([], [])
    for view in range(4):
        others = [other for other in range(4) if other != view]
        start = triangulate_robust_undistorted(
            straight[:, others], projections[others], weights[:, others], threshold=22.0, sigma=7.3
        )
        refined = refine(
            straight[:, others],
            projections[others],
            weights[:, others],
            start,
            session.skeleton.bone_indices,
            session.fps,
            sigma=7.3,
        )
        judged = (
            start.points.isfinite().all(-1) & refined.points.isfinite().all(-1) & (weights[:, view] > 0.5)
        )
        for found, points in zip(misses, (start.points, refined.points), strict=True):
            found.append(reprojection_residuals(points, straight, projections)[:, view][judged])
    before, after = (torch.cat(found) for found in misses)
    assert after.nanmean() < 0.95 * before.nanmean()
    assert after.nanmedian() < before.nanmedian()
