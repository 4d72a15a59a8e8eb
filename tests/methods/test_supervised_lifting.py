from dataclasses import replace

import pytest
import torch

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.sample import MultiView
from coview.skeletons import H36M_17

CONFIGS = [SupervisedLiftingConfig(width=16), SupervisedLiftingConfig(width=16, projection="perspective")]
BOTH = pytest.mark.parametrize("config", CONFIGS, ids=["orthographic", "perspective"])


def instants(count: int = 6) -> MultiView:
    return SyntheticConfig(instants=count, subjects=1).train().instants


@BOTH
def test_the_truth_costs_nothing_and_ten_centimetres_cost_ten_centimetres(config):
    batch, method = instants(), config.build(H36M_17)
    lifted = method(batch)
    pose = (batch.joints3d - batch.joints3d[:, :1])[:, None].expand_as(lifted.canonical)
    rotation = lifted.observed.ray_from_camera @ batch.cameras.rotation
    perfect = replace(lifted, canonical=pose, ray_from_canonical=rotation)
    assert method.losses(perfect, batch)["joint"] < 1e-5
    moved = replace(perfect, canonical=pose + torch.tensor([0.0, 0.06, 0.08]))
    assert method.losses(moved, batch)["joint"] == pytest.approx(0.1, abs=1e-4)


@BOTH
def test_missing_joints_views_and_labels_poison_nothing(config):
    batch = instants(4)
    joints2d, confidence = batch.joints2d.clone(), batch.confidence.clone()
    joints2d[1, 2, 0], confidence[1, 2, 0] = torch.nan, 0  # a root: the view counts for nothing
    joints3d = batch.joints3d.clone()
    joints3d[0, 5] = torch.nan  # a label
    batch = batch.replaced(joints2d=joints2d, confidence=confidence, joints3d=joints3d)
    method = config.build(H36M_17)
    loss = method.losses(method(batch), batch)["joint"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in method.parameters())


def test_learns_by_heart_and_reads_labels():
    batch = instants(8)
    torch.manual_seed(0)
    method = SupervisedLiftingConfig(width=64, rotation="six_d", input_size="unit_rms").build(H36M_17)
    assert method.supervision == {"joints3d", "cameras"}
    assert method.resolve_ambiguity(batch) == {}
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    for _ in range(200):
        loss = method.losses(method(batch), batch)["joint"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
