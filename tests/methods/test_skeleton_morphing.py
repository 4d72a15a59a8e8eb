"""Skeleton morphing: what it learns from a labelled person, and that it holds for another."""

import pytest
import torch

from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
from coview.formats.io.text import read_json
from coview.methods.shared.base import ImagePoses
from coview.methods.skeleton_morphing import SkeletonMorphingConfig
from coview.networks.morpher import load_morpher
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.evaluation.scoring import Score
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

NOISE = DetectorNoise(sigma=2.0, outlier_rate=0.0, outlier_px=0.0, missing_rate=0.05, swap_rate=0.0)
DATA = SyntheticConfig(instants=600, validation_instants=200, subjects=1, noise=NOISE)
# A detector of another habit: joint, the joint towards which it errs, and how far (share of the distance).
# What detectors really do: the root not between the hips, hips wide, the neck high, the ankle at the heel.
HABIT = (
    ("pelvis", "spine", 0.25),
    ("left_hip", "right_hip", -0.3),
    ("right_hip", "left_hip", -0.3),
    ("thorax", "nose", 0.35),
    ("head_top", "nose", 0.3),
    ("left_ankle", "left_knee", -0.08),
    ("right_ankle", "right_knee", -0.08),
)


def habitual(batch: MultiView) -> MultiView:
    """The same instants as that detector would have reported them; NaN spreads to what depends on it."""
    joints2d, confidence = batch.joints2d.clone(), batch.confidence.clone()
    for joint, towards, share in HABIT:
        at, other = H36M_17.index(joint), H36M_17.index(towards)
        joints2d[..., at, :] += share * (batch.joints2d[..., other, :] - batch.joints2d[..., at, :])
        confidence[..., at] = torch.minimum(confidence[..., at], batch.confidence[..., other])
    return batch.replaced(joints2d=joints2d, confidence=confidence)


def trained(batch: MultiView, steps: int = 250):
    torch.manual_seed(0)
    method = SkeletonMorphingConfig(width=64).build(H36M_17)
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        part = batch[torch.randint(0, 600, (32,))]
        loss = method.losses(method(part.only(method.inputs)), part)["morph"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return method


def test_the_habits_of_a_detector_are_unlearned_for_people_never_seen():
    method = trained(habitual(DATA.train().instants))
    unseen = habitual(DATA.validation().instants)
    score = Score(H36M_17)
    score.update(method(unseen), unseen)
    found = score.compute()
    assert found["detected_px"] > 5
    assert found["image_px"] < 0.6 * found["detected_px"]


def test_the_truth_costs_nothing_and_a_tenth_of_the_norm_costs_a_tenth_squared():
    batch = SyntheticConfig(instants=4, subjects=1).train().instants
    method = SkeletonMorphingConfig(width=8).build(H36M_17)
    assert method.losses(method(batch), batch)["morph"] < 1e-9
    norm = (batch.joints2d - batch.joints2d[..., :1, :]).norm(dim=(-2, -1), keepdim=True)
    moved = ImagePoses(joints2d=batch.joints2d + 0.1 * norm)
    assert float(method.losses(moved, batch)["morph"]) == pytest.approx(0.01, rel=1e-3)


def test_missing_joints_roots_and_labels_poison_nothing():
    batch = SyntheticConfig(instants=4, subjects=1).train().instants
    joints2d, confidence, joints3d = batch.joints2d.clone(), batch.confidence.clone(), batch.joints3d.clone()
    joints2d[1, 2, 0], confidence[1, 2, 0] = torch.nan, 0
    confidence[0, 0, 5] = 0
    joints3d[0, 7] = torch.nan
    batch = batch.replaced(joints2d=joints2d, confidence=confidence, joints3d=joints3d)
    method = SkeletonMorphingConfig(width=8).build(H36M_17)
    found = method(batch)
    assert found.joints2d[1, 2].isnan().all()
    assert found.joints2d[0, 0, 5].isnan().all()
    loss = method.losses(found, batch)["morph"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in method.parameters())


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        SkeletonMorphingConfig(width=0)


def test_a_run_is_scored_in_pixels_and_gives_its_network_to_a_lifter(tmp_path):
    data = SyntheticConfig(instants=20, validation_instants=10, subjects=1, noise=NOISE)
    recipe = Recipe(SkeletonMorphingConfig(width=8), data, 3, batch_size=4, device="cpu")
    run = train(recipe, tmp_path / "run", progress=False)
    loaded = load_run(run)
    batch = data.validation().instants
    given = loaded.method(batch).joints2d
    from_weights = load_morpher(run, 17)
    assert torch.equal(from_weights.exit.weight, loaded.method.morpher.exit.weight)
    assert given.shape == batch.joints2d.shape
    assert {"image_px", "detected_px"} <= set(read_json(run / "evaluation.json")["metrics"])
