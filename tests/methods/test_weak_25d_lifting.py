from dataclasses import replace

import pytest
import torch

from coview.body.limb_lengths import LimbLengths
from coview.data.synthetic.recordings import EXACT, DetectorNoise, SyntheticConfig
from coview.methods.weak_25d_lifting import RelativeDepths, Weak25DLifting, Weak25DLiftingConfig
from coview.representations.relative_depth import Placing, metric_pose
from coview.sample import MultiView
from coview.skeletons import H36M_17

MISSING = DetectorNoise(missing_rate=0.1)


def instants(count: int = 6, noise: DetectorNoise = EXACT) -> MultiView:
    return SyntheticConfig(instants=count, subjects=1, noise=noise).train().instants


def own_limbs(batch: MultiView) -> LimbLengths:
    """Those of the one person whom the instants show."""

    def length(start: str, end: str) -> float:
        ends = batch.joints3d[:, [H36M_17.index(start), H36M_17.index(end)]]
        return float((ends[:, 1] - ends[:, 0]).norm(dim=-1).mean())

    return LimbLengths(
        torso=length("pelvis", "thorax"),
        hip=length("pelvis", "left_hip"),
        thigh=length("left_hip", "left_knee"),
        shank=length("left_knee", "left_ankle"),
        neck=length("thorax", "nose"),
        head=length("nose", "head_top"),
        shoulder=length("thorax", "left_shoulder"),
        upper_arm=length("left_shoulder", "left_elbow"),
        forearm=length("left_elbow", "left_wrist"),
    )


def with_depths(method: Weak25DLifting, batch: MultiView, depth: torch.Tensor) -> RelativeDepths:
    """What the method would predict, had its network given these depths."""
    found = method(batch)
    points = method.placing.place(found.rays, depth, found.confidence, method.limbs)
    return replace(found, relative_depth=depth, points=points)


def true_depths(method: Weak25DLifting, batch: MultiView) -> torch.Tensor:
    """Along the rays to the root, in torso lengths."""
    points = batch.cameras.to_camera(batch.joints3d[:, None])
    ray = torch.nn.functional.normalize(points[..., 0, :], dim=-1)
    depth = (points * ray[..., None, :]).sum(dim=-1)
    return (depth - depth[..., :1]) / method.config.limbs.torso


def cost(method: Weak25DLifting, predicted: RelativeDepths, batch: MultiView) -> float:
    return float(torch.stack(list(method.losses(predicted, batch).values())).sum().detach())


def test_the_truth_costs_nothing():
    """T3: one rigid pose in four views, limbs of mean length."""
    batch = instants()
    method = Weak25DLiftingConfig(width=16, limbs=own_limbs(batch)).build(H36M_17)
    assert cost(method, with_depths(method, batch, true_depths(method, batch)), batch) < 2e-3


@pytest.mark.parametrize("by", ["several", "torso"])
def test_collapse_costs_more_than_the_truth(by):
    """T4: flat people, people mirrored in depth, and all joints on one ray close to the camera."""
    batch = instants(24)
    placing = Placing(by=by, least_share=0.6 if by == "several" else 0.0)
    method = Weak25DLiftingConfig(width=16, limbs=own_limbs(batch), placing=placing).build(H36M_17)
    depth = true_depths(method, batch)
    truth = cost(method, with_depths(method, batch, depth), batch)
    assert cost(method, with_depths(method, batch, torch.zeros_like(depth)), batch) > 3 * truth
    assert cost(method, with_depths(method, batch, -depth), batch) > 1.2 * truth
    point = replace(method(batch), points=torch.zeros(24, 4, 17, 3) + torch.tensor([0.0, 0.0, 10.0]))
    assert cost(method, point, batch) > 3 * truth


def test_a_person_folded_onto_the_axis_is_cheap_unless_kept_at_a_distance():
    """Found while training: limbs of right length along the axis, close to the camera, agree in every view."""
    batch = instants()
    limbs = own_limbs(batch)
    costs = {}
    for least_share in (0.0, 0.6):
        placing = Placing(least_share=least_share)
        method = Weak25DLiftingConfig(width=16, limbs=limbs, placing=placing).build(H36M_17)
        depth = torch.zeros(17)
        for start, end, length in zip(*method.limbs, strict=True):
            depth[end] = depth[start] + (length / limbs.torso) * (1 if depth[start] <= 0 else -1)
        costs[least_share] = cost(method, with_depths(method, batch, depth.expand(6, 4, 17)), batch)
    assert costs[0.0] < 0.4 * costs[0.6]


def test_reads_lenses_and_never_where_a_camera_stands():
    batch = instants(4)
    method = Weak25DLiftingConfig(width=16).build(H36M_17)
    assert method.needs == {"joints2d", "confidence", "cameras"}
    lost = replace(batch.cameras, cam_from_world=torch.full_like(batch.cameras.cam_from_world, torch.nan))
    blind = batch.replaced(cameras=lost).only(method.needs)
    torch.testing.assert_close(method(blind).joints3d, method(batch).joints3d)
    assert cost(method, method(blind), blind) == cost(method, method(batch), batch)


def test_the_answer_is_in_metres_of_mean_limbs_and_on_the_rays():
    batch = instants()
    limbs = own_limbs(batch)
    method = Weak25DLiftingConfig(width=16, limbs=limbs).build(H36M_17)
    found = with_depths(method, batch, true_depths(method, batch))
    pose = metric_pose(found.points, found.confidence, method.limbs, 0)
    truth = batch.joints3d - batch.joints3d[:, :1]
    lengths = method.limbs.vectors(pose).norm(dim=-1)
    torch.testing.assert_close(
        lengths, method.limbs.vectors(truth)[:, None].norm(dim=-1).expand_as(lengths), atol=5e-3, rtol=0.0
    )


def test_a_mirror_image_has_the_mirrored_answer():
    batch = instants(3)
    method = Weak25DLiftingConfig(width=16, depth_start=1.0).build(H36M_17)
    swap = list(H36M_17.mirror)
    width = batch.image_size[..., None, 0]
    flipped = batch.joints2d[..., swap, :]
    flipped = torch.stack([width - 1 - flipped[..., 0], flipped[..., 1]], dim=-1)
    other = method(batch.replaced(joints2d=flipped, confidence=batch.confidence[..., swap])).joints3d
    expected = method(batch).joints3d[..., swap, :] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(other, expected, atol=1e-4, rtol=1e-4)


def test_what_is_missing_is_nan_and_poisons_nothing():
    batch = instants(6, MISSING)
    joints2d, confidence = batch.joints2d.clone(), batch.confidence.clone()
    joints2d[1, 2, 0], confidence[1, 2, 0] = torch.nan, 0  # a root: the view counts for nothing
    joints2d[2, 0], confidence[2, 0] = torch.nan, 0
    joints2d[3, 0, 1:], confidence[3, 0, 1:] = torch.nan, 0  # a root and nothing else
    batch = batch.replaced(joints2d=joints2d, confidence=confidence)
    for taught_by in ("views", "truth"):
        method = Weak25DLiftingConfig(width=16, taught_by=taught_by).build(H36M_17)
        predicted = method(batch)
        seen = (confidence > 0) & (confidence[..., :1] > 0)
        known = predicted.joints3d.isfinite().all(dim=-1)
        assert not known[[1, 2, 3], [2, 0, 0]].any()
        assert (known <= seen).all()
        assert known[0].sum() > 30
        sum(method.losses(predicted, batch).values()).backward()
        assert all(weight.grad.isfinite().all() for weight in method.parameters())


def trained(batch: MultiView, steps: int = 240, **settings: object) -> Weak25DLifting:
    torch.manual_seed(0)
    method = Weak25DLiftingConfig(width=64, limbs=own_limbs(batch), **settings).build(H36M_17)
    optimiser = torch.optim.Adam(method.parameters(), lr=2e-3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1.0, (step + 1) / 20)
        loss = sum(method.losses(method(batch), batch).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimiser.step()
    return method


@pytest.fixture(scope="module")
def learnt() -> tuple[Weak25DLifting, MultiView]:
    batch = instants(64)
    return trained(batch), batch


def error(method: Weak25DLifting, batch: MultiView) -> float:
    """Root-relative, millimetres, no scaling."""
    truth = (batch.joints3d - batch.joints3d[:, :1])[:, None] @ batch.cameras.rotation.mT
    with torch.no_grad():
        return 1000 * float((method(batch).joints3d - truth).norm(dim=-1).nanmean())


def test_learns_depth_from_views_and_nothing_where_they_do_not_belong_together(learnt):
    method, batch = learnt
    order = torch.stack([torch.randperm(64, generator=torch.Generator().manual_seed(v)) for v in range(4)], 1)
    views = torch.arange(4)
    shuffled = batch.replaced(
        joints2d=batch.joints2d[order, views], confidence=batch.confidence[order, views]
    )
    right, wrong = error(method, batch), error(trained(shuffled), batch)
    assert right < 80  # flat people are 130 mm off
    assert right < 0.6 * wrong


def test_a_model_in_the_mirrored_world_is_turned_back(learnt):
    method, batch = learnt
    right = error(method, batch)
    with torch.no_grad():
        method.lifter.depth.weight.neg_()
        method.lifter.depth.bias.neg_()
    assert error(method, batch) > 2 * right
    assert method.resolve_ambiguity(batch)["mirror_flipped"]
    assert error(method, batch) == pytest.approx(right)
    assert not method.resolve_ambiguity(batch)["mirror_flipped"]


def test_labels_teach_the_same_network():
    batch = instants(12)
    assert error(trained(batch, 120, taught_by="truth"), batch) < 40
    method = Weak25DLiftingConfig(width=8, taught_by="truth").build(H36M_17)
    assert method.supervision == {"joints3d"}
    assert method.resolve_ambiguity(batch) == {}


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="width must be at least 1"):
        Weak25DLiftingConfig(width=0)
    with pytest.raises(ValueError, match=r"reach .*least_trust"):
        Weak25DLiftingConfig(reach=0.0)
    with pytest.raises(ValueError, match="cannot be negative"):
        Weak25DLiftingConfig(limb_weight=-1.0)
    with pytest.raises(ValueError, match="least_share is a share"):
        Placing(least_share=1.0)
