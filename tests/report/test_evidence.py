from dataclasses import replace

import pytest
import torch

from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.report.evidence import gather
from coview.skeletons import CANONPOSE_16, COCO_17, Skeleton


def test_everything_there_is_gathered(session):
    evidence = gather(session.path)
    assert evidence.missing == ()
    assert evidence.frames == 40
    assert [run.name for run in evidence.runs] == ["first_model"]
    assert evidence.comparison.errors.shape == (40, 4, 17)
    assert evidence.cameras is not None


def test_errors_are_the_distance_between_projection_and_detection(session):
    evidence = gather(session.path)
    cameras = evidence.calibration.cameras.to(torch.float64)
    by_hand = cameras[2].project(evidence.poses.points[11].double())[4] - evidence.pixels[11, 2, 4].double()
    assert float(evidence.comparison.errors[11, 2, 4]) == pytest.approx(float(by_hand.norm()), abs=1e-3)


def test_a_detection_is_used_only_where_it_is_seen_known_and_an_inlier(session):
    compared = gather(session.path).comparison
    assert bool((compared.used <= compared.seen).all())
    assert not bool(compared.used[7].any())  # a frame without 3D joints
    assert not bool(compared.used[5, :, 3].any())
    assert bool((compared.used <= gather(session.path).poses.inliers).all())


def test_what_is_not_there_is_said_and_nothing_fails(new_session):
    evidence = gather(new_session(calibrated=False, reconstructed=False, trained=False).path)
    assert evidence.poses is None
    assert evidence.cameras is None
    assert evidence.comparison is None
    assert any("coview calibrate" in sentence for sentence in evidence.missing)
    assert any("coview reconstruct" in sentence for sentence in evidence.missing)


def test_lenses_without_places_are_not_cameras(new_session):
    session = new_session(reconstructed=False)
    calibration = session.calibration()
    from coview.formats.calibration.calibration import write_calibration

    write_calibration(calibration.without_extrinsics(), session.calibration_path)
    evidence = gather(session.path)
    assert evidence.calibration is not None
    assert evidence.cameras is None


def test_a_session_with_nothing_to_show_is_an_error(tmp_path, session):
    empty = Session(tmp_path / "empty", "empty", 25.0, session.skeleton, session.cameras)
    empty.save()
    with pytest.raises(ValueError, match="has nothing to report yet"):
        gather(empty.path)


def test_other_joints_are_mapped_by_name(new_session):
    session = new_session()
    poses = session.poses3d()
    keep = torch.randn(40, 16, 3)
    Poses3D(keep, None, None, None, poses.fps, CANONPOSE_16).save(session.poses3d_path)
    evidence = gather(session.path)
    assert evidence.skeleton == CANONPOSE_16
    assert evidence.pixels.shape == (40, 4, 16, 2)
    assert bool((evidence.comparison.used == evidence.comparison.errors.isfinite()).all())


def test_joints_that_cannot_be_compared_are_said(new_session):
    session = new_session()
    odd = Skeleton("odd", ("tail", "pelvis"), (("pelvis", "tail"),), "pelvis")
    Poses3D(torch.randn(40, 2, 3), None, None, None, 25.0, odd).save(session.poses3d_path)
    evidence = gather(session.path)
    assert evidence.comparison is None
    assert any("nothing to compare" in sentence for sentence in evidence.missing)


def test_3d_joints_of_another_recording_are_refused(new_session):
    session = new_session()
    poses = session.poses3d()
    replace(poses, points=poses.points[:9], covariance=None, inliers=None, residuals=None).save(
        session.poses3d_path
    )
    with pytest.raises(ValueError, match="the 3D joints have 9 frames and the detections 40"):
        gather(session.path)


def test_detections_of_another_skeleton_than_the_session_says_fail_in_words(new_session):
    session = new_session(reconstructed=False)
    names = session.camera_names
    nothing = torch.full((4, 40, 1, 17, 2), torch.nan)
    write_detections(session.detections_dir, names, Detections(nothing, torch.zeros(4, 40, 1, 17)))
    replace(session, skeleton=COCO_17).save()
    assert not bool(gather(session.path).pixels.isfinite().any())
