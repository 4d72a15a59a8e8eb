import json

import pytest
import torch

from coview.data.synthetic import random_motion, ring_cameras
from coview.methods.base import CameraPoses, WorldPose
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.scoring import Score, how_scored, truth_for, write_evaluation


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


def test_numbers_are_written_with_their_definitions(tmp_path):
    metrics = {"n_mpjpe_mm": 70.0, "cps": float("nan")}
    write_evaluation(tmp_path / "e.json", metrics, H36M_17, "toy", 6)
    written = json.loads((tmp_path / "e.json").read_text())
    assert written["metrics"] == {"n_mpjpe_mm": 70.0, "cps": None}
    assert set(how_scored(metrics, H36M_17)) == {"n_mpjpe_mm", "cps"}
