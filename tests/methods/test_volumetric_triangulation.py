from dataclasses import replace

import pytest
import torch
from torch import nn

from coview.methods.volumetric_triangulation import VolumePose, VolumetricTriangulationConfig
from coview.representations.volumes import cuboid
from coview.sample import MultiView
from coview.skeletons import H36M_17

SMALL = VolumetricTriangulationConfig(
    depth=18, size=32, deconv=32, cells=16, levels=2, width=8, channels=8, front_kernel=3
)


def prediction(joints3d: torch.Tensor, points: torch.Tensor, views: int = 4) -> VolumePose:
    """Of joints that are where they are said to be, and probabilities that know nothing."""
    cells = points[..., 0, :, :, :, 0].numel() if points.ndim < 5 else points[0, ..., 0].numel()
    probabilities = torch.full((*joints3d.shape[:-1], *points.shape[-4:-1]), 1 / cells)
    return VolumePose(joints3d=joints3d, probabilities=probabilities, points=points, views=views)


def learn(batch, backbone: nn.Module, steps: int, told=None) -> float:
    """Error in metres after some steps; `told` is what the losses see."""
    torch.manual_seed(0)
    method = replace(SMALL, rotate=False, cells=8, levels=1).build(H36M_17)
    method.backbone = backbone
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=5e-3)
    for _ in range(steps):
        terms = method.losses(method(batch), told or batch)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    with torch.no_grad():
        return float((method(batch).joints3d - batch.joints3d).norm(dim=-1).mean())


def test_learns_by_heart_and_not_where_the_labels_belong_to_other_instants(dotted, glimpse):
    batch = dotted(6)
    # the right people in the wrong instants: a network that only learnt a mean pose would not mind
    shuffled = batch.replaced(joints3d=batch.joints3d.roll(3, dims=0))
    error, misled = learn(batch, glimpse(), 60), learn(batch, glimpse(), 60, shuffled)
    assert error < 0.2
    assert misled > 1.5 * error


def test_the_loss_is_the_papers():
    # one joint 3 cm off along x, of two that are known; probabilities are even over 2³ cells
    points = cuboid(torch.zeros(1, 3), 1.0, 2)
    truth = torch.zeros(1, 17, 3)
    truth[:, 2:] = torch.nan
    found = truth.nan_to_num()
    found[0, 0, 0] = 0.03
    method = replace(SMALL, cell_weight=0.01).build(H36M_17)
    terms = method.losses(prediction(found, points), MultiView(H36M_17, joints3d=truth))
    # cm per coordinate of the known joints; the cross-entropy's mean runs over all 17
    assert terms["absolute"].item() == pytest.approx(3.0 / 6, rel=1e-5)
    expected = -torch.tensor(1 / 8 + 1e-6).log() * 2 / 17
    assert terms["cell"].item() == pytest.approx(0.01 * expected.item(), rel=1e-5)


def test_one_view_is_judged_relative_to_its_root():
    points = cuboid(torch.zeros(1, 3), 1.0, 2)
    truth = torch.rand(1, 17, 3)
    found = truth + torch.tensor([0.0, 0.1, 0.0])  # everything 10 cm away: only the root's own place is wrong
    method, batch = SMALL.build(H36M_17), MultiView(H36M_17, joints3d=truth)
    many = method.losses(prediction(found, points, views=2), batch)["absolute"].item()
    one = method.losses(prediction(found, points, views=1), batch)["absolute"].item()
    assert many == pytest.approx(10 / 3, rel=1e-4)
    assert one == pytest.approx(10 / 3 / 17, rel=1e-4)


@pytest.mark.parametrize("aggregation", ["softmax", "sum", "max", "conf", "conf_norm"])
def test_every_aggregation_gives_finite_answers_and_gradients(dotted, aggregation):
    torch.manual_seed(0)
    method, batch = replace(SMALL, aggregation=aggregation).build(H36M_17), dotted(2)
    pose = method(batch)
    sum(method.losses(pose, batch).values()).backward()
    learnt = [p for p in method.parameters() if p.requires_grad]
    assert pose.joints3d.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learnt)
    assert not method.backbone.final_layer.weight.requires_grad
    torch.testing.assert_close(
        pose.probabilities.flatten(-3).sum(dim=-1), torch.ones(2, 17), atol=1e-4, rtol=0
    )


def test_normalised_confidences_share_out_one_vote(dotted, of_views):
    # two copies of one view hold what the view alone holds
    torch.manual_seed(0)
    method, batch = replace(SMALL, aggregation="conf_norm").build(H36M_17).eval(), dotted(1)
    one = of_views(batch, [0])
    two = of_views(batch, [0, 0])
    torch.testing.assert_close(method(two).joints3d, method(one).joints3d, atol=1e-5, rtol=1e-4)


def test_the_answer_lies_in_the_cuboid_and_moves_with_it(dotted):
    torch.manual_seed(0)
    method, batch = SMALL.build(H36M_17).eval(), dotted(2)
    pose = method(batch)
    assert ((pose.joints3d - batch.base_point[:, None]).abs() <= 1.25 + 1e-5).all()
    moved = batch.replaced(base_point=batch.base_point + 10.0)  # nobody sees anything there
    nowhere = method(moved)
    assert ((nowhere.joints3d - batch.base_point[:, None] - 10.0).abs() <= 1.25 + 1e-4).all()


def test_turning_the_cuboid_is_for_learning(dotted):
    torch.manual_seed(0)
    method, batch = SMALL.build(H36M_17), dotted(2)
    first, second = method(batch).points, method(batch).points
    assert not torch.equal(first, second)
    torch.testing.assert_close(first[..., 2], second[..., 2])  # about the vertical
    method.eval()
    assert torch.equal(method(batch).points, method(batch).points)
    assert torch.equal(replace(SMALL, rotate=False).build(H36M_17)(batch).points, method(batch).points)


def test_the_base_is_the_datas_or_the_labels(dotted):
    batch = dotted(2)
    assert SMALL.build(H36M_17).inputs == {"images", "cameras", "base_point"}
    labels = replace(SMALL, base="labels").build(H36M_17)
    assert labels.inputs == {"images", "cameras", "joints3d"}
    torch.testing.assert_close(labels.eval()(batch).points.flatten(1, 3).mean(dim=1), batch.joints3d[:, 0])
    unknown = batch.base_point.clone()
    unknown[1] = torch.nan
    pose = SMALL.build(H36M_17).eval()(batch.replaced(base_point=unknown))
    assert pose.joints3d[0].isfinite().all()
    assert pose.joints3d[1].isnan().all()
    loss = SMALL.build(H36M_17).losses(pose, batch)
    assert all(term.isfinite() for term in loss.values())


@pytest.mark.parametrize("released_numerics", [False, True])
@pytest.mark.parametrize("aggregation", ["softmax", "max", "conf_norm"])
def test_one_view_is_enough_and_an_absent_one_changes_nothing(
    dotted, of_views, aggregation, released_numerics
):
    torch.manual_seed(0)
    config = replace(SMALL, aggregation=aggregation, released_numerics=released_numerics)
    method, batch = config.build(H36M_17).eval(), dotted(2)
    with torch.no_grad():
        method.process_features[0].weight.mul_(30)  # so that it matters what takes part
    three = of_views(batch, [0, 1, 2])
    gone = batch.cameras.cam_from_world.clone()
    gone[:, 3] = torch.nan
    absent = batch.replaced(cameras=replace(batch.cameras, cam_from_world=gone))
    torch.testing.assert_close(method(absent).joints3d, method(three).joints3d, atol=1e-5, rtol=1e-4)
    one = of_views(batch, [0])
    assert method(one).joints3d.isfinite().all()


def test_checkpointing_changes_no_gradient(dotted):
    batch, gradients = dotted(2), []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        method = replace(SMALL, checkpointing=checkpointing, rotate=False).build(H36M_17)
        sum(method.losses(method(batch), batch).values()).backward()
        gradients.append([p.grad for p in method.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cells": 48}, "divisible by 2 to the power of levels"),
        ({"front_kernel": 2}, "front_kernel is odd"),
        ({"side": 0.0}, r"side \(metres\)"),
        ({"base_jitter": -0.1}, "cannot be negative"),
    ],
)
def test_settings_that_make_no_sense(wrong, words):
    with pytest.raises(ValueError, match=words):
        VolumetricTriangulationConfig(**wrong)
