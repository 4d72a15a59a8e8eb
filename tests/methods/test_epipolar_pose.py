import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from coview.body.anthropometry import FOREARM, SHANK, THIGH, UPPER_ARM
from coview.body.stature_scale import ASSUMED_STATURE
from coview.data.augment import mirrored
from coview.data.synthetic.recordings import ring_cameras
from coview.methods.epipolar_pose import EpipolarPoseConfig
from coview.methods.shared.image_method import IMAGENET_MEAN, IMAGENET_STD
from coview.networks.backbone import Maps
from coview.sample import MultiView
from coview.skeletons import COCO_17, EPIPOLAR_16, H36M_17, Skeleton
from coview.training.evaluation.scoring import truth_for

SMALL = EpipolarPoseConfig(depth=18, size=64, deconv=16, trunk=8, cells=16, taught_by="truth")
REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
ROOT = H36M_17.root_index


class Given(nn.Module):
    """A network that answers with one volume, whatever it sees."""

    def __init__(self, volumes: torch.Tensor) -> None:
        super().__init__()
        self.volumes = nn.Parameter(volumes)

    def forward(self, images: torch.Tensor) -> Maps:
        return Maps(self.volumes[: len(images)].flatten(1, 2), images, None, None)


def peaked(coordinates: torch.Tensor, cells: tuple[int, int, int], half: float = 0.5) -> torch.Tensor:
    """Volumes images × joints × layers × rows × columns whose means are at `coordinates`, between −½ and ½."""
    parts = []
    for axis, count in enumerate(cells):
        place = ((coordinates[..., axis] + 0.5) * count - half).clamp(0, count - 1)
        away = (torch.arange(count) - place[..., None]).abs()
        parts.append((1 - away).clamp_min(1e-9).log())  # linear shares of the two nearest cells
    across, down, deep = parts
    return deep[..., :, None, None] + down[..., None, :, None] + across[..., None, None, :]


def with_pseudo(batch: MultiView, **options) -> MultiView:
    """The truth as a pseudo-label, without any extrinsics that could be looked at instead."""
    blind = replace(batch.cameras, cam_from_world=torch.full_like(batch.cameras.cam_from_world, torch.nan))
    pseudo = {"pseudo3d": batch.joints3d, "pseudo_cameras": batch.cameras, **options}
    return batch.only(frozenset({"images"})).replaced(cameras=blind, **pseudo)


# --- the released network ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "skeleton", "name", "millions"),
    [
        (18, EPIPOLAR_16, "r18_j16", 15.64),
        (50, EPIPOLAR_16, "r50_j16", 34.26),
        (50, H36M_17, "r50_j17", 34.27),
    ],
)
def test_names_shapes_and_parameters_of_the_released_weights(depth, skeleton, name, millions):
    with torch.device("meta"):
        method = EpipolarPoseConfig(depth=depth).build(skeleton)
    assert sum(each.numel() for each in method.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    keys = REFERENCE / f"keys_ep_{name}.json"
    if not keys.is_file():
        pytest.skip(f"the list {keys} is not here")
    ours = {key.removeprefix("backbone."): list(each.shape) for key, each in method.state_dict().items()}
    assert ours == json.loads(keys.read_text())


def textbook(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """ResNet-18, three deconvolutions, one convolution, written out; red, green, blue from 0 to 255 in."""

    def normal(x, name):
        mean, spread = state[f"{name}.running_mean"], (state[f"{name}.running_var"] + 1e-5).sqrt()
        x = (x - mean[:, None, None]) / spread[:, None, None]
        return x * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    def conv(x, name, stride=1):
        weight = state[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    x = (images - torch.tensor([123.675, 116.28, 103.53])[:, None, None]) / torch.tensor(
        [58.395, 57.12, 57.375]
    )[:, None, None]
    x = functional.max_pool2d(normal(conv(x, "conv1", 2), "bn1").relu(), 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = normal(conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
            inner = normal(conv(inner, f"{name}.conv2"), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in state:
                x = normal(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = (inner + x).relu()
    for layer in (0, 3, 6):
        x = functional.conv_transpose2d(x, state[f"deconv_layers.{layer}.weight"], stride=2, padding=1)
        x = normal(x, f"deconv_layers.{layer + 1}").relu()
    return functional.conv2d(x, state["final_layer.weight"], state["final_layer.bias"])


def shaken(method: nn.Module) -> nn.Module:
    """Weights and statistics at which a mistake would show."""
    generator = torch.Generator().manual_seed(3)
    for each in method.state_dict().values():
        if each.is_floating_point():
            noise = torch.rand(each.shape, generator=generator)
            each.copy_(0.5 + noise if each.ndim == 1 else 0.3 * (noise - 0.5) + 0.1 * each)
    return method.eval()


def test_logits_and_coordinates_are_those_of_a_plain_twin(dotted):
    batch = dotted(2, views=2, size=64)
    config = replace(SMALL, released_numerics=True)
    torch.manual_seed(0)
    method = shaken(config.build(H36M_17))
    state = {key.removeprefix("backbone."): each for key, each in method.state_dict().items()}
    with torch.no_grad():
        volumes = textbook(state, 255 * batch.images.flatten(0, 1))
        found = method.maps(batch.images).heatmaps
        torch.testing.assert_close(found, volumes, rtol=1e-4, atol=1e-4 * volumes.abs().max().item())
        predicted = method(batch)
    shares = volumes.unflatten(1, (17, 16)).double().flatten(2).softmax(dim=-1).view(4, 17, 16, 16, 16)
    z, y, x = torch.meshgrid(*[torch.arange(16.0).double()] * 3, indexing="ij")
    slow = torch.stack([(shares * each).sum(dim=(-3, -2, -1)) / 16 - 0.5 for each in (x, y, z)], dim=-1)
    gap = predicted.coordinates.flatten(0, 1) - slow
    assert gap.abs().max() * 64 < 1e-3  # pixels


def test_channels_are_joints_times_layers_and_reference_has_no_half_pixel():
    # methods/epipolarpose.md §2: a spike at (z 10, y 20, x 30) of 64 cells → (120, 80, −88) of 256 pixels
    volumes = torch.zeros(1, 17, 64, 64, 64)
    volumes.flatten(1, 2)[0, 3 * 64 + 10, 20, 30] = 1e3
    images, cameras = torch.zeros(1, 1, 3, 256, 256), dotted_cameras(256)
    for released, expected in ((True, [120.0, 80, -88]), (False, [122.0, 82, -86])):
        method = (
            EpipolarPoseConfig(depth=18, trunk=8, deconv=8, released_numerics=released).build(H36M_17).eval()
        )
        method.backbone = Given(volumes)
        found = method(MultiView(H36M_17, images=images, cameras=cameras)).coordinates[0, 0, 3]
        pixels = (found + torch.tensor([0.5, 0.5, 0.0])) * 256
        # ours: the centre of the cell, as a place on the crop's area: half a pixel more than its pixel coordinate
        assert pixels.tolist() == pytest.approx(expected)


def dotted_cameras(size: int):
    return ring_cameras(1, focal=1.6 * size, size=(size, size)).expand(1, 1)


def test_the_loss_is_half_the_squared_gap_per_crop(dotted):
    # methods/epipolarpose.md §5: |gap| < 1 always, so smooth L1 with β = 1 is exactly ½‖Δ‖²
    batch = dotted(3, size=64)
    torch.manual_seed(0)
    method = SMALL.build(H36M_17)
    predicted = method(batch)
    target = method.targets(batch.joints3d, batch.cameras)
    inside = (target.abs() <= 0.5).all(dim=-1)
    assert inside.float().mean() > 0.9
    slow = 0.0
    for n in range(3):
        for v in range(4):
            for j in range(17):
                if inside[n, v, j]:
                    slow += 0.5 * (predicted.coordinates[n, v, j] - target[n, v, j]).square().sum().item()
    assert method.losses(predicted, batch)["coordinates"].item() == pytest.approx(slow / 12, rel=1e-6)


def test_a_small_beta_counts_large_errors_linearly(dotted):
    batch = dotted(1, size=64)
    method = replace(SMALL, beta=0.01).build(H36M_17)
    predicted, target = method(batch), method.targets(batch.joints3d, batch.cameras)
    gap = (predicted.coordinates - target).abs()
    cost = torch.where(gap < 0.01, gap.square() / 0.02, gap - 0.005)
    inside = (target.abs() <= 0.5).all(dim=-1, keepdim=True)
    assert method.losses(predicted, batch)["coordinates"].item() == pytest.approx(
        (cost * inside).sum().item() / 4, rel=1e-5
    )


# --- targets and poses ---------------------------------------------------------------------------


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize(
    ("unit", "depth"),
    [("metres", "labels"), ("crop", "labels"), ("metres", "estimated"), ("crop", "estimated")],
)
def test_a_perfect_network_gives_the_true_poses(dotted, unit, depth, released):
    """Through volumes, pixels, intrinsics and the root's depth; of the assumed size where that is estimated."""
    batch = dotted(2, size=64)
    config = replace(
        SMALL, cells=64, depth_unit=unit, root_depth=depth, released_numerics=released, depth_range=1.2
    )
    method = config.build(H36M_17)
    target = method.targets(batch.joints3d, batch.cameras)
    target = target.clamp(-0.47, 0.47)  # one joint touches a border
    half = 0.0 if released else 0.5
    method.backbone = Given(peaked(target.flatten(0, 1), (16, 16, 64), half))
    limbs = batch.joints3d[:, [b for _, b in method.limbs]] - batch.joints3d[:, [a for a, _ in method.limbs]]
    truth = truth_for(method(batch), batch)
    kept = (target - method.targets(batch.joints3d, batch.cameras)).abs().amax(dim=-1) < 1e-6
    if depth == "labels":
        torch.testing.assert_close(method(batch).joints3d[kept], truth[kept], atol=2e-4, rtol=0.0)
        return
    for n in range(2):
        length = limbs[n].norm(dim=-1).sum().item() / 2
        method.config = replace(config, limbs=length)
        found = method(batch).joints3d[n]
        torch.testing.assert_close(found[kept[n]], truth[n][kept[n]], atol=5e-3, rtol=0.0)


def test_the_scale_of_a_pseudo_world_matters_for_metres_alone(dotted):
    batch = dotted(2, size=64)
    larger = replace(
        batch.cameras,
        cam_from_world=torch.cat(
            [batch.cameras.rotation, 1.1 * batch.cameras.translation[..., None]], dim=-1
        ),
    )
    for unit in ("metres", "crop"):
        method = replace(SMALL, depth_unit=unit).build(H36M_17)
        true, scaled = (
            method.targets(batch.joints3d, batch.cameras),
            method.targets(1.1 * batch.joints3d, larger),
        )
        torch.testing.assert_close(scaled[..., :2], true[..., :2], atol=1e-5, rtol=1e-4)
        factor = 1.1 if unit == "metres" else 1.0
        torch.testing.assert_close(scaled[..., 2], factor * true[..., 2], atol=1e-5, rtol=1e-4)


def test_with_crops_of_two_metres_both_units_are_one():
    """The paper's label: depth over the crop's side at the root. methods/epipolarpose.md §3."""
    torch.manual_seed(0)
    pose = 0.6 * (torch.rand(1, 17, 3) - 0.5) + torch.tensor([0.0, 0.0, 4.0])
    pose[:, ROOT] = torch.tensor([0.0, 0.0, 4.0])
    cameras = dotted_cameras(64)
    intrinsics = torch.tensor([[128.0, 0, 31.5], [0, 128.0, 31.5], [0, 0, 1]])  # 64 pixels are 2 m at 4 m
    cameras = replace(
        cameras, intrinsics=intrinsics.expand(1, 1, 3, 3), cam_from_world=torch.eye(3, 4).expand(1, 1, 3, 4)
    )
    found = [
        replace(SMALL, depth_unit=unit).build(H36M_17).targets(pose, cameras) for unit in ("metres", "crop")
    ]
    torch.testing.assert_close(*found)
    torch.testing.assert_close(found[0][0, 0, :, 2], (pose[0, :, 2] - 4) / 2)


def test_the_assumed_limbs_are_those_of_the_assumed_stature():
    # as pseudo-labels of unknown scale are sized: both are wrong alike
    shares = THIGH + SHANK + UPPER_ARM + FOREARM
    assert EpipolarPoseConfig().limbs == pytest.approx(shares * ASSUMED_STATURE, rel=1e-3)


def test_joints_outside_the_volume_behind_the_camera_or_unknown_teach_nothing(dotted):
    batch = dotted(1, views=1, size=64)
    method = SMALL.build(H36M_17)
    predicted = method(batch)

    def cost(joints3d):
        return method.losses(predicted, batch.replaced(joints3d=joints3d))["coordinates"]

    forward = batch.cameras.rotation[0, 0, 2]
    right = batch.cameras.rotation[0, 0, 0]
    away = torch.nn.functional.one_hot(torch.tensor(5), 17)[None, :, None]
    unknown = torch.where(away > 0, torch.nan, batch.joints3d)
    for moved in (1.5 * forward, 9 * right, -20 * forward):
        assert cost(batch.joints3d + away * moved) == cost(unknown)
    rootless = batch.joints3d.clone()
    rootless[:, ROOT] = torch.nan
    assert cost(rootless) == 0
    assert cost(unknown) < cost(batch.joints3d)


# --- what it may see -----------------------------------------------------------------------------


def test_of_the_cameras_only_intrinsics_are_read(dotted):
    batch = dotted(2, size=64)
    blind = with_pseudo(batch)
    config = replace(SMALL, taught_by="pseudo")
    torch.manual_seed(0)
    method = config.build(H36M_17).eval()
    assert method.inputs == {"images", "cameras"}
    assert method.supervision == {"pseudo3d", "pseudo_cameras"}
    predicted = method(blind.only(method.inputs))
    assert predicted.joints3d.isfinite().all()
    torch.testing.assert_close(predicted.joints3d, method(batch.only(method.inputs)).joints3d)
    loss = method.losses(predicted, blind.only(method.needs))["coordinates"]
    method.config = SMALL
    truth = method.losses(predicted, batch)["coordinates"]
    torch.testing.assert_close(loss, truth)


def test_labels_are_inputs_where_they_tell_the_root_s_depth():
    told = replace(SMALL, root_depth="labels").build(H36M_17)
    assert told.inputs == {"images", "cameras", "joints3d"}
    assert not told.inputs & told.supervision


def test_unsure_pseudo_labels_count_less(dotted):
    batch = dotted(1, size=64)
    covariance = 0.02**2 * torch.eye(3).expand(1, 17, 3, 3)
    config = replace(SMALL, taught_by="pseudo", half_at=0.02)
    torch.manual_seed(0)
    method = config.build(H36M_17)
    predicted = method(batch)

    def cost(covariance):
        return method.losses(predicted, with_pseudo(batch, pseudo_covariance=covariance))["coordinates"]

    assert "pseudo_covariance" in method.supervision
    full = cost(0 * covariance)
    torch.testing.assert_close(cost(covariance), full / 2)
    assert cost(torch.full_like(covariance, torch.nan)) == 0


def test_a_view_without_intrinsics_is_not_answered_and_the_others_are(dotted):
    batch = dotted(2, size=64)
    missing = batch.cameras.intrinsics.clone()
    missing[0, 1] = torch.nan
    lame = batch.replaced(cameras=replace(batch.cameras, intrinsics=missing))
    torch.manual_seed(0)
    method = SMALL.build(H36M_17)
    predicted = method(lame)
    assert predicted.joints3d[0, 1].isnan().all()
    assert predicted.joints3d.isnan().any(dim=-1).any(dim=-1).sum() == 1
    sum(method.losses(predicted, lame).values()).backward()
    assert all(each.grad.isfinite().all() for each in method.parameters())


def test_crops_are_independent_of_each_other_and_of_how_many_go_through_at_once(dotted, monkeypatch):
    batch = dotted(3, size=64)
    torch.manual_seed(0)
    method = shaken(SMALL.build(H36M_17))
    with torch.no_grad():
        whole = method(batch)
        monkeypatch.setattr("coview.methods.epipolar_pose._AT_ONCE", 5 * 17 * 16 * 16 * 16)
        torch.testing.assert_close(method(batch).joints3d, whole.joints3d, atol=1e-4, rtol=1e-4)
        one = method(batch[1])
    assert one.joints3d.shape == (4, 17, 3)
    torch.testing.assert_close(one.coordinates, whole.coordinates[1], atol=1e-5, rtol=1e-4)


# --- learning ------------------------------------------------------------------------------------


def learn(batch: MultiView, backbone: nn.Module, steps: int, told: MultiView | None = None) -> float:
    """Error of the coordinates, crops, after some steps; `told` is what the losses see."""
    config = replace(SMALL, size=32, cells=8, taught_by="pseudo", beta=0.05, cell_weight=0.05)
    method = config.build(H36M_17)
    method.backbone = backbone
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-2)
    seen, taught = with_pseudo(batch), with_pseudo(told or batch)
    for _ in range(steps):
        terms = method.losses(method(seen), taught)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    with torch.no_grad():
        gap = method(seen).coordinates - method.targets(batch.joints3d, batch.cameras)
    return gap.norm(dim=-1).mean().item()


def test_learns_by_heart_from_pseudo_labels_and_not_from_other_peoples(dotted, glimpse):
    batch = dotted(3, views=2)
    torch.manual_seed(0)
    start = learn(batch, glimpse(joints=17 * 8), 0)
    torch.manual_seed(0)
    error = learn(batch, glimpse(joints=17 * 8), 40)
    torch.manual_seed(0)
    order = torch.tensor([1, 2, 0])
    misled = learn(batch, glimpse(joints=17 * 8), 40, batch.replaced(joints3d=batch.joints3d[order]))
    assert error < 0.5 * start
    assert misled > 1.5 * error


def test_gradients_are_finite_and_reach_everything(dotted):
    batch = dotted(2, size=64)
    torch.manual_seed(0)
    method = replace(SMALL, cell_weight=0.1).build(H36M_17)
    terms = method.losses(method(batch), batch)
    assert set(terms) == {"coordinates", "cell"}
    sum(terms.values()).backward()
    assert all(each.grad.isfinite().all() for each in method.parameters())
    assert all((each.grad != 0).any() for name, each in method.named_parameters() if "final_layer" in name)


def test_a_mirrored_picture_has_the_mirrored_pose_only_when_sides_are_swapped(dotted):
    """The targets of a mirrored instant are the flipped ones of the other side's joints."""
    batch = dotted(2, size=64)
    method = SMALL.build(H36M_17)
    before = method.targets(batch.joints3d, batch.cameras)
    shown = mirrored(batch, torch.tensor([True, True]))
    after = method.targets(shown.joints3d, shown.cameras)
    flipped = before * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(after, flipped[..., list(H36M_17.mirror), :], atol=1e-5, rtol=0.0)
    assert (after - flipped).abs().max() > 0.05
    torch.testing.assert_close(shown.images, batch.images.flip(-1))


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cells": 1}, "cells must be at least 2, got 1"),
        ({"depth_range": 0.0}, r"depth_range, limbs \(metres\), multiplier and beta must be above 0"),
        ({"cell_weight": -1.0}, "cannot be negative"),
        ({"half_at": 0.02, "taught_by": "truth"}, "the truth has none"),
        ({"fewest_views": 2}, "each crop is learnt by itself"),
    ],
)
def test_settings_that_make_no_sense(wrong, words):
    with pytest.raises(ValueError, match=words):
        EpipolarPoseConfig(**wrong)


def test_a_skeleton_without_limbs_cannot_be_sized():
    hip = Skeleton("toy", ("hip",), (), "hip")
    with pytest.raises(ValueError, match=r"'toy' has no left_ankle, .* set root_depth to 'labels'"):
        SMALL.build(hip)
    replace(SMALL, root_depth="labels").build(hip)
    SMALL.build(COCO_17)


def test_colours_are_red_green_blue_in_reference_too():
    red = torch.zeros(1, 3, 8, 8)
    red[:, 0] = 1.0
    lit = replace(SMALL, released_numerics=True).build(H36M_17)._normalised(red)[0, :, 0, 0]
    scales = zip((1, 0, 0), IMAGENET_MEAN, IMAGENET_STD, strict=True)
    shown = [(value - mean) / std for value, mean, std in scales]
    assert lit.tolist() == pytest.approx(shown)
