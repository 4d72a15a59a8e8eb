"""One camera's poses against the reconstruction: units of error, the baseline, the warnings."""

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.formats.session.session import Session
from coview.methods.shared.base import CameraPoses
from coview.metrics.joint_error import n_joint_error, p_joint_error
from coview.sample import MultiView
from coview.skeletons import CANONPOSE_16, COCO_19, H36M_17, Skeleton
from coview.training.evaluation.compare import Comparison, Scores, compare, reconstructed
from coview.training.evaluation.scoring import truth_for


@pytest.fixture(scope="module")
def reference():
    points = random_motion(50, seed=2)
    return points - points[:, :1]


def test_the_reconstruction_itself_has_no_error_in_any_size(reference):
    found = compare(3.0 * reference, reference, H36M_17)
    assert found.model.n_mpjpe_mm == pytest.approx(0, abs=1e-3)
    assert found.model.p_mpjpe_mm == pytest.approx(0, abs=0.1)
    assert found.model.n_pck_150 == 100
    assert found.frames == 50
    assert found.warnings == ()


def test_numbers_are_those_of_the_metrics(reference):
    points = reference + 0.05 * torch.randn(50, 17, 3, generator=torch.Generator().manual_seed(1))
    found = compare(points, reference, H36M_17).model
    assert found.n_mpjpe_mm == pytest.approx(float(n_joint_error(points, reference, 0).mean()), rel=1e-5)
    assert found.p_mpjpe_mm == pytest.approx(float(p_joint_error(points, reference).mean()), rel=1e-5)


def test_the_mean_pose_is_no_better_than_itself(reference):
    mean = reference.mean(dim=0).expand_as(reference)
    found = compare(mean, reference, H36M_17)
    assert found.model == found.mean_pose
    (warning,) = found.warnings
    assert warning.startswith("worse than the session's mean pose (N-MPJPE ")


def test_a_model_that_finds_the_heading_alone_is_named_so():
    found = Comparison(Scores(100.0, 90.0, 70.0), Scores(150.0, 80.0, 50.0), 300.0, 50)
    (warning,) = found.warnings
    assert "worse in shape (P-MPJPE 90 mm against 80): it finds the heading" in warning


def test_a_mirrored_model_is_named_so(reference):
    found = compare(reference * torch.tensor([1.0, 1.0, -1.0]), reference, H36M_17)
    assert found.mirrored_n_mpjpe_mm == pytest.approx(0, abs=1e-3)
    assert any("mirrored world" in words for words in found.warnings)


def test_gaps_count_the_same_for_model_and_baseline(reference):
    points = reference.clone()
    points[:10] = torch.nan
    found = compare(points, reference, H36M_17)
    assert found.frames == 40
    assert found.model.n_pck_150 == pytest.approx(80)
    assert found.mean_pose.n_pck_150 <= 80
    alone = compare(points[10:], reference[10:], H36M_17)
    assert alone.model.n_mpjpe_mm == pytest.approx(found.model.n_mpjpe_mm, abs=1e-3)


def test_frames_that_do_not_belong_together_are_refused(reference):
    with pytest.raises(ValueError, match=r"49 predicted frames of 17 joints .* 50 reconstructed"):
        compare(reference[1:], reference, H36M_17)
    with pytest.raises(ValueError, match="no joint is known both"):
        compare(torch.full_like(reference, torch.nan), reference, H36M_17)


def test_json_says_what_the_numbers_mean(reference):
    plain = compare(reference, reference, H36M_17).plain(H36M_17)
    assert "not truth" in str(plain["reference"])
    assert set(plain["metrics"]) == set(plain["mean_pose"]) == set(plain["definitions"])


# --- the reference ---------------------------------------------------------------------------------


def test_the_reference_is_what_scoring_would_take_for_truth(session):
    """The same place and axes as `truth_for`, camera by camera."""
    poses, calibration = session.poses3d(), session.calibration()
    batch = MultiView(
        H36M_17,
        joints3d=poses.points,
        cameras=calibration.cameras.to(torch.float32).expand(len(poses.points), 4),
    )
    truth = truth_for(CameraPoses(joints3d=torch.zeros(len(poses.points), 4, 17, 3)), batch)
    for view, name in enumerate(session.camera_names):
        found, why = reconstructed(session, name, H36M_17)
        assert why == ""
        torch.testing.assert_close(found, truth[:, view], equal_nan=True, atol=1e-5, rtol=0)


def test_what_is_missing_is_said(session, tmp_path):
    bare = Session(tmp_path, "bare", 25.0, H36M_17, session.cameras)
    assert reconstructed(bare, "cam_1", H36M_17) == (
        None,
        "the session is not reconstructed, so there is nothing to compare with",
    )
    session.poses3d().save(bare.poses3d_path)
    assert reconstructed(bare, "cam_1", H36M_17) == (None, "it is not known where the cameras stand")
    tailed = Skeleton("tailed", ("tail", "nose"), (("tail", "nose"),), "tail")
    assert reconstructed(session, "cam_1", tailed) == (
        None,
        "the 3D joints of 'h36m_17' do not give the root joint, tail",
    )


def test_joints_that_the_reconstruction_lacks_are_not_scored_and_said(session):
    reference, _ = reconstructed(session, "cam_1", COCO_19)
    faceless = ("left_eye", "right_eye", "left_ear", "right_ear")
    missing = [COCO_19.index(joint) for joint in faceless]
    assert reference[:, missing].isnan().all()
    found = compare(reference.nan_to_num(0.3), reference, COCO_19)
    assert found.unscored == faceless
    assert found.plain(COCO_19)["unscored_joints"] == list(faceless)
    assert found.model.n_mpjpe_mm < 0.1


def test_another_skeleton_is_mapped(session):
    found, _ = reconstructed(session, "cam_1", CANONPOSE_16)
    assert found.shape[1] == 16
    root = found[:, CANONPOSE_16.root_index]
    assert root[root.isfinite()].abs().max() == 0
