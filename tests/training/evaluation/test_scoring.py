import json

import pytest
import torch

from coview.data.synthetic.recordings import SyntheticConfig, random_motion, ring_cameras
from coview.methods.shared.base import CameraPoses, ImagePoses, Method, MetricCameraPoses, WorldPose
from coview.sample import MultiView
from coview.skeletons import CANONPOSE_16, H36M_17
from coview.training.evaluation.scoring import (
    Score,
    how_scored,
    monocular_metrics,
    score,
    truth_for,
    write_evaluation,
)


class Knowing(Method[CameraPoses]):
    """Predicts whatever it was given."""

    inputs = frozenset({"rig"})

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer, self.unused = answer, torch.nn.Parameter(torch.zeros(1))

    def forward(self, batch: MultiView):
        assert batch.fields == {"rig"}
        return self.answer(batch.rig)

    def losses(self, predicted, batch):
        return {}


def validation():
    batch = SyntheticConfig(validation_instants=9, instants=9, subjects=1, views=3).validation().instants
    data = SyntheticConfig(validation_instants=9, instants=9, subjects=1, views=3).validation()
    data.instants = batch.replaced(rig=torch.arange(9))  # so that the method knows which instant it is
    return data


def test_truth_is_root_centred_in_each_camera():
    batch = validation().instants
    truth = truth_for(CameraPoses(joints3d=torch.zeros(9, 3, 17, 3)), batch)
    in_camera = batch.cameras.to_camera(batch.joints3d[:, None])
    torch.testing.assert_close(truth, in_camera - in_camera[..., :1, :], atol=1e-5, rtol=0)
    assert truth_for(WorldPose(joints3d=torch.zeros(9, 17, 3)), batch) is batch.joints3d


def test_a_perfect_monocular_method_of_any_size_scores_zero():
    data = validation()
    truth = truth_for(CameraPoses(joints3d=torch.zeros(9, 3, 17, 3)), data.instants)
    metrics = score(Knowing(lambda rig: CameraPoses(joints3d=7 * truth[rig])), data, batch_size=4)
    assert metrics["n_mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    assert metrics["p_mpjpe_mm"] == pytest.approx(0, abs=0.1)
    assert metrics["n_pck_150"] == metrics["coverage_percent"] == 100
    assert metrics["cps"] == 300
    assert metrics["pss_50"] == metrics["pss_100"] == 100
    assert "46764 poses, camera axes" in how_scored(metrics, H36M_17)["pss_50"]
    assert metrics["opposite_percent"] == 0
    assert "mpjpe_mm" not in metrics  # a pose without a size has no error in millimetres of its own


def test_a_method_in_metres_is_scored_in_metres():
    data = validation()
    off = torch.tensor([0.03, 0.04, 0.0])
    metrics = score(Knowing(lambda rig: WorldPose(joints3d=data.instants.joints3d[rig] + off)), data)
    assert metrics["mpjpe_mm"] == pytest.approx(50, abs=1e-2)
    assert metrics["mpjpe_relative_mm"] == pytest.approx(0, abs=1e-2)
    words = how_scored(metrics, H36M_17)["mpjpe_relative_mm"]
    assert words.startswith(
        "17 joints of h36m_17, each relative to its pose's pelvis, whose own error of zero is"
    )
    assert metrics["p_mpjpe_mm"] == pytest.approx(0, abs=0.1)


def test_scoring_leaves_the_mode_of_the_method():
    data = validation()
    method = Knowing(lambda rig: CameraPoses(joints3d=torch.randn(len(rig), 3, 17, 3)))
    score(method.train(), data)
    assert method.training


def test_every_number_is_explained_and_nan_is_null(tmp_path):
    metrics = {"n_mpjpe_mm": 80.0, "cps": float("nan")}
    write_evaluation(tmp_path / "e.json", metrics, H36M_17, "validation", 9, frozenset({"images", "cameras"}))
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["inputs"] == ["cameras", "images"]
    assert content["metrics"] == {"n_mpjpe_mm": 80.0, "cps": None}
    assert content["definitions"] == how_scored(metrics, H36M_17)


def test_structure_is_scored_where_the_centres_have_the_joints():
    assert {"pss_50", "pss_100"} <= set(monocular_metrics(H36M_17))
    assert not {"pss_50", "pss_100"} & set(monocular_metrics(CANONPOSE_16))


# --- running scores


def batch() -> MultiView:
    joints3d = random_motion(6, seed=0)
    return MultiView(H36M_17, joints3d=joints3d, cameras=ring_cameras(3).expand(6, 3))


def test_a_world_pose_is_judged_where_it_stands():
    known = batch()
    score = Score(H36M_17)
    score.update(WorldPose(joints3d=known.joints3d + torch.tensor([0.03, 0.04, 0.0])), known)
    found = score.compute()
    assert found["mpjpe_mm"] == pytest.approx(50, abs=0.01)  # 3-4-5 by hand
    assert found["p_mpjpe_mm"] == pytest.approx(0, abs=0.01)


def test_a_camera_pose_is_judged_in_the_camera_and_up_to_size():
    known = batch()
    right = CameraPoses(joints3d=torch.zeros(6, 3, 17, 3))
    right = CameraPoses(joints3d=3 * truth_for(right, known))
    score = Score(H36M_17)
    score.update(right, known)
    found = score.compute()
    assert found["n_mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert found["n_pck_150"] == 100


def test_a_mirrored_pose_is_not_forgiven():
    known = batch()
    truth = truth_for(CameraPoses(joints3d=torch.zeros(6, 3, 17, 3)), known)
    score = Score(H36M_17)
    score.update(CameraPoses(joints3d=truth * torch.tensor([1.0, 1.0, -1.0])), known)
    assert score.compute()["p_mpjpe_mm"] > 50


def test_poses_in_the_image_are_scored_in_pixels_beside_the_detections():
    batch = validation().instants
    moved = batch.joints2d + torch.tensor([3.0, 4.0])
    found = moved.clone()
    found[0] = torch.nan
    running = Score(H36M_17)
    running.update(ImagePoses(joints2d=found), batch.replaced(joints2d=batch.joints2d + 1.0))
    metrics = running.compute()
    assert metrics == {
        "image_px": pytest.approx(5.0, abs=1e-3),
        "detected_px": pytest.approx(2**0.5, abs=1e-3),
    }
    assert set(how_scored(metrics, H36M_17)) == set(metrics)


def test_a_monocular_method_that_claims_a_size_is_held_to_it():
    data = validation()
    truth = truth_for(CameraPoses(joints3d=torch.zeros(9, 3, 17, 3)), data.instants)
    large = score(Knowing(lambda rig: MetricCameraPoses(joints3d=1.1 * truth[rig])), data, batch_size=4)
    assert next(iter(large)) == "mpjpe_mm"  # the first of two in the summary line
    expected = 100 * float(truth[..., 1:, :].norm(dim=-1).nanmean())
    assert large["mpjpe_mm"] == pytest.approx(expected, rel=1e-3)
    assert large["n_mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    words = how_scored(large, H36M_17)["mpjpe_mm"]
    assert words == "16 joints of h36m_17 but the root, camera axes, root-aligned, size as predicted"
