import math
from dataclasses import replace

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.data.base import InMemory
from coview.data.batching import SubjectTimes
from coview.data.label_budget import ShownLabels
from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig, detect, ring_cameras
from coview.geometry.rotations import rotation_from_axis_angle
from coview.methods.mcss import (
    McssConfig,
    McssImageConfig,
    admissible,
)
from coview.methods.shared.triplets import rms_deviation
from coview.networks.encoders import unit
from coview.representations.canonical_pose import canonical_pose
from coview.sample import MultiView
from coview.skeletons import H36M_17

SMALL = McssConfig(width=32, head=32, features=16)


def instants(count: int = 12, labels: int = 6, **settings) -> MultiView:
    data = SyntheticConfig(instants=count, subjects=2, fps=1.0, **settings).train()
    return ShownLabels(count=labels).shown(data).instants


# --- negatives ---------------------------------------------------------------------------------------


def test_negatives_are_of_one_person_and_not_near_in_time():
    batch = MultiView(
        H36M_17,
        subject=torch.tensor([0, 0, 0, 0, 1]),
        sequence=torch.tensor([0, 0, 0, 1, 2]),
        time=torch.tensor([0.0, 0.3, 0.5, 0.3, 9.0]),
    )
    found = admissible(batch, 0.5)
    assert found.int().tolist() == [
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0],
        [1, 0, 0, 1, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert not admissible(batch, 0.0).diagonal().any()
    assert bool(admissible(batch, 0.0)[0, 1])


# --- the method --------------------------------------------------------------------------------------


def test_each_view_gets_a_canonical_pose_and_a_unit_embedding():
    batch, method = instants(), SMALL.build(H36M_17)
    found = method(batch.only(method.inputs))
    assert found.joints3d.shape == (12, 4, 17, 3)
    assert (found.joints3d[..., 0, :] == 0).all()
    torch.testing.assert_close(found.embedding.norm(dim=-1), torch.ones(12, 4))


@pytest.mark.parametrize("negatives", ["hardest", "random", "all"])
def test_missing_joints_views_and_labels_poison_nothing(negatives):
    batch = instants(noise=DetectorNoise(missing_rate=0.3))
    joints2d, confidence = batch.joints2d.clone(), batch.confidence.clone()
    joints2d[1, 2], confidence[1, 2] = torch.nan, 0  # a view that shows nothing
    joints3d = batch.joints3d.clone()
    joints3d[0, 5] = torch.nan
    batch = batch.replaced(joints2d=joints2d, confidence=confidence, joints3d=joints3d)
    method = replace(SMALL, negatives=negatives).build(H36M_17)
    method.fit_statistics([batch])
    found = method(batch)
    assert found.joints3d.isnan().flatten(2).all(dim=-1).nonzero().tolist() == [[1, 2]]
    terms = method.losses(found, batch)
    assert set(terms) == {"pose", "metric"}
    sum(terms.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    assert set(method.diagnostics) == {"positive", "negative", "active_percent", "spread"}


def test_labels_teach_where_they_are_shown_and_nowhere_else():
    batch, method = instants(), SMALL.build(H36M_17).eval()
    method.fit_statistics([batch])
    before = method.losses(method(batch), batch)["pose"]
    moved = torch.where(
        batch.labelled[:, None, None], batch.joints3d, 7.0
    )  # as if somebody had not hidden them
    torch.testing.assert_close(method.losses(method(batch), batch.replaced(joints3d=moved))["pose"], before)
    none = method.losses(method(batch), batch.replaced(labelled=torch.zeros(12).bool()))["pose"]
    assert none == 0


def test_the_true_canonical_pose_costs_nothing():
    batch, method = instants(), SMALL.build(H36M_17)
    method.fit_statistics([batch])
    truth = canonical_pose(batch.joints3d, H36M_17)[:, None].expand(-1, 4, -1, -1)
    perfect = replace(method(batch), joints3d=truth)
    assert method.losses(perfect, batch)["pose"] < 1e-5


def test_coordinates_are_scored_with_the_labelled_poses_alone():
    batch, method = instants(), SMALL.build(H36M_17)
    method.fit_statistics([batch[:5], batch[5:]])
    poses = canonical_pose(batch.joints3d[batch.labelled], H36M_17)
    poses = poses[poses.isfinite().flatten(1).all(dim=-1)]
    torch.testing.assert_close(method.mean.view(16, 3), poses.mean(dim=0)[1:])
    hip = method.others.index(H36M_17.index("left_hip"))
    assert method.spread.view(16, 3)[hip, 1] == 1  # it never moves: nothing to divide by
    with pytest.raises(
        ValueError, match=r"Mcss: 1 labelled instants .* at least 2 are needed\. Show more labels"
    ):
        method.fit_statistics([instants(labels=1)])


def test_without_metric_weight_it_is_the_baseline():
    batch, method = instants(), replace(SMALL, metric_weight=0.0).build(H36M_17)
    assert set(method.losses(method(batch), batch)) == {"pose"}
    assert method.diagnostics == {}


def test_a_constant_embedding_is_noticed():
    batch, method = instants(), SMALL.build(H36M_17)
    assert method.resolve_ambiguity(batch)["embedding"] == "spread out"
    with torch.no_grad():
        method.encoder.exit.weight.zero_()
    facts = method.resolve_ambiguity(batch)
    assert str(facts["embedding"]).startswith("collapsed")
    assert facts["embedding_spread"] < 0.01
    method.losses(method(batch), batch)
    assert method.diagnostics["spread"] < 0.01
    assert float(rms_deviation(unit(torch.randn(500, 16)))) == pytest.approx(1, abs=0.05)


def test_a_constant_embedding_is_pushed_apart():
    """Its loss is the margin, not zero."""
    batch, method = instants(), SMALL.build(H36M_17)
    found = method(batch)
    same = unit(torch.ones_like(found.embedding) + 0.01 * found.embedding.detach())
    loss = method.losses(replace(found, embedding=same), batch)["metric"]
    assert loss.item() == pytest.approx(0.3, abs=0.05)


def test_crops_are_embedded_too():
    config = McssImageConfig(depth=18, size=64, trunk=4, head=16, features=16)
    batch, method = instants(6), config.build(H36M_17)
    assert method.inputs == {"images"}
    batch = batch.replaced(images=torch.rand(6, 4, 3, 64, 64))
    method.fit_statistics([batch])
    found = method(batch.only(method.inputs))
    assert found.joints3d.shape == (6, 4, 17, 3)
    sum(method.losses(found, batch).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "width, features and head must be at least 1, got 0"),
        ({"dropout": 25.0}, r"not per cent\), got 25"),
        ({"margin": 2.5}, "margin above 0 and below 2, the largest distance of unit vectors"),
        ({"metric_weight": -1.0}, "metric_weight and gap"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"McssConfig: .*{words}"):
        McssConfig(**settings)


# --- does it learn? ----------------------------------------------------------------------------------

LEARNER = McssConfig(width=64, head=64, features=32, negatives="all")
TAKE = 50  # instants of a take


def blends(count: int, seed: int) -> MultiView:
    """Takes of somebody who goes from one of 12 postures to another and turns while doing so, seen by four cameras."""
    generator = torch.Generator().manual_seed(seed)
    postures = canonical_pose(random_motion(400, fps=1.0, seed=7, kind="mixed"), H36M_17)
    postures = postures[postures.isfinite().flatten(1).all(dim=-1)][: 12 * 20 : 20]
    takes = count // TAKE
    ends = postures[torch.randint(len(postures), (takes, 2), generator=generator)]
    share = torch.linspace(0, 1, TAKE)[:, None, None]
    pose = ends[:, :1] * (1 - share) + ends[:, 1:] * share
    start, speed = (
        2 * math.pi * torch.rand(takes, 1, generator=generator),
        torch.randn(takes, 1, generator=generator),
    )
    turn = start + speed * torch.linspace(0, 2, TAKE)
    axis = torch.stack([torch.zeros_like(turn), torch.zeros_like(turn), turn], dim=-1)
    joints3d = (pose @ rotation_from_axis_angle(axis).mT).flatten(0, 1) + torch.tensor([0.0, 0.0, 0.95])
    cameras = ring_cameras(4)
    joints2d, confidence = detect(joints3d, cameras, DetectorNoise(sigma=6.0), seed)
    return MultiView(
        H36M_17,
        joints2d=joints2d,
        confidence=confidence,
        image_size=cameras.size.expand(count, 4, 2),
        joints3d=joints3d,
        subject=torch.zeros(count, dtype=torch.long),
        sequence=torch.arange(takes).repeat_interleave(TAKE),
        time=torch.arange(TAKE).repeat(takes) / 10,
    )


def apart(data: MultiView) -> MultiView:
    """The views of every instant without a label are of different instants."""
    shown = ShownLabels(share=0.01).shown(InMemory(data)).instants.labelled
    generator = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(len(shown), generator=generator) for _ in range(4)], dim=1)
    order[shown] = shown.nonzero().expand(-1, 4)
    return data.replaced(
        **{name: data.stored(name)[order, torch.arange(4)] for name in ("joints2d", "confidence")}
    )


def test_views_that_agree_make_up_for_labels_and_views_that_do_not_agree_do_not(learnt_canonical):
    """T4 and T5: 30 labelled instants of 3000."""
    data, test = blends(3000, seed=0), blends(300, seed=1)

    def learnt(config: McssConfig, data: MultiView) -> float:
        shown = ShownLabels(share=0.01).shown(InMemory(data)).instants
        draws = SubjectTimes(labelled=16).draws(InMemory(shown), 48, seed=0)
        return learnt_canonical(config, shown, draws, test, 300)

    baseline = learnt(replace(LEARNER, metric_weight=0.0), data)
    assert learnt(LEARNER, data) < 0.85 * baseline
    assert learnt(LEARNER, apart(data)) > 0.97 * baseline
