"""Released numerics against the authors' code, from pictures to millimetres, in double precision.

The twins are written from the papers' texts with plain PyTorch and NumPy: one view and one joint at a time, the names
of the released files, random weights. Nothing of ours is used in them but the cameras' projection matrices.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from torch.nn import functional

from coview.data.synthetic.recordings import ring_cameras
from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig, RansacTriangulationConfig
from coview.methods.epipolar_pose import EpipolarPoseConfig
from coview.methods.refinement_unit import RefinementUnitConfig
from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.sample import MultiView
from coview.skeletons import EPIPOLAR_16, LEARNABLE_17

# millimetres
EXACT = 1e-9
VIEWS = 4


def pictures(size: int, skeleton=LEARNABLE_17, instants: int = 1) -> MultiView:
    """Noise that a ring of cameras took, in double precision."""
    generator = torch.Generator().manual_seed(1)
    cameras = ring_cameras(VIEWS, focal=1.2 * size, size=(size, size)).to(torch.float64)
    joints3d = torch.randn(instants, len(skeleton), 3, generator=generator, dtype=torch.float64) / 3
    joints3d = joints3d + torch.tensor([0.2, -0.1, 1.0], dtype=torch.float64)
    return MultiView(
        skeleton,
        images=torch.rand(instants, VIEWS, 3, size, size, generator=generator, dtype=torch.float64),
        cameras=cameras.expand(instants, VIEWS),
        joints3d=joints3d,
        base_point=joints3d[:, skeleton.root_index],
    )


def shaken(method, spread: float = 1.0):
    """In use and in double precision, with normalisations that have seen something and maps that differ."""
    generator = torch.Generator().manual_seed(2)
    for name, tensor in method.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif name.endswith(("running_mean", "bias")):
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
        elif "final_layer" in name or name.endswith("output_layer.weight"):
            tensor.copy_(spread * torch.randn(tensor.shape, generator=generator))
    return method.double().eval()


class Released:
    """Layers by the names of a released file."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state

    def norm(self, x, name):
        shape = (1, -1, *[1] * (x.ndim - 2))
        mean, var, scale, shift = (
            self.state[f"{name}.{part}"].view(shape)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    def conv(self, x, name, **how):
        call = functional.conv3d if x.ndim == 5 else functional.conv2d
        return call(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **how)

    def linear(self, x, name):
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def resnet(self, x, blocks):
        """Features of the last stage; the stride of a bottleneck is that of its 3 × 3 convolution."""
        x = self.norm(self.conv(x, "backbone.conv1", stride=2, padding=3), "backbone.bn1").relu()
        x = functional.max_pool2d(x, 3, 2, 1)
        for stage, count in enumerate(blocks, start=1):
            for block in range(count):
                name, stride = f"backbone.layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                bottleneck = f"{name}.conv3.weight" in self.state
                steps = ((1, 0), (stride, 1), (1, 0)) if bottleneck else ((stride, 1), (1, 1))
                inner = x
                for number, (by, padding) in enumerate(steps, start=1):
                    inner = self.conv(inner, f"{name}.conv{number}", stride=by, padding=padding)
                    inner = self.norm(inner, f"{name}.bn{number}")
                    inner = inner.relu() if number < len(steps) else inner
                if f"{name}.downsample.0.weight" in self.state:
                    x = self.norm(self.conv(x, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1")
                x = (inner + x).relu()
        return x

    def deconvolved(self, x):
        for layer in (0, 3, 6):
            weight = self.state[f"backbone.deconv_layers.{layer}.weight"]
            x = functional.conv_transpose2d(x, weight, stride=2, padding=1)
            x = self.norm(x, f"backbone.deconv_layers.{layer + 1}").relu()
        return x

    def confidences(self, x, name):
        """Pooling rounds down, as PyTorch's does unless told otherwise."""
        for layer in (0, 4):
            x = self.norm(self.conv(x, f"{name}.features.{layer}", padding=1), f"{name}.features.{layer + 1}")
            x = functional.max_pool2d(x, 2).relu()
        x = x.mean(dim=(-2, -1))
        for layer in (0, 2):
            x = self.linear(x, f"{name}.head.{layer}").relu()
        return self.linear(x, f"{name}.head.4").sigmoid()


def blue_green_red(images):
    """The normalisation of red, green, blue on blue, green, red."""
    mean, std = (torch.tensor(x, dtype=torch.float64) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return (images[:, [2, 1, 0]] - mean[:, None, None]) / std[:, None, None]


def in_millimetres(cameras) -> np.ndarray:
    projections = cameras.pixels_from_world.numpy().copy()
    projections[..., 3] *= 1000
    return projections


def dlt(pixels, projections, weights) -> np.ndarray:
    rows = [
        w * (at[axis] * p[2] - p[axis])
        for at, p, w in zip(pixels, projections, weights, strict=True)
        for axis in (0, 1)
    ]
    point = np.linalg.svd(np.stack(rows))[2][-1]
    return point[:3] / point[3]


def distant(point: np.ndarray) -> float:
    """1 within the ring of cameras; rounding of nearly parallel rays moves a far point by its distance squared."""
    return max(1.0, (np.linalg.norm(point) / 5000) ** 2)


# --- Learnable Triangulation -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [192, 256])
@pytest.mark.parametrize("confidences", [True, False])
def test_algebraic(size, confidences):
    """Soft arg-max of 100 times the maps, cells of four pixels without a half, sigmoid confidences, plain DLT."""
    config = AlgebraicTriangulationConfig(
        depth=50, size=size, trunk=8, deconv=8, confidences=confidences, released_numerics=True
    )
    method, batch = shaken(config.build(LEARNABLE_17), 0.3), pictures(size)
    with torch.no_grad():
        found = 1000 * method(batch.only(method.inputs)).joints3d[0].numpy()
    net = Released(method.state_dict())
    coarse = net.resnet(blue_green_red(batch.images[0]), (3, 4, 6, 3))
    maps = net.conv(net.deconvolved(coarse), "backbone.final_layer")
    share = (
        net.confidences(coarse, "backbone.alg_confidences") if confidences else torch.ones(VIEWS, 17).double()
    )
    share = (share / share.sum(dim=0) + 1e-5).numpy()
    shares = (100 * maps).flatten(2).softmax(dim=-1).view(maps.shape)
    grid = torch.arange(size // 4, dtype=torch.float64)
    x, y = (shares.sum(dim=2) * grid).sum(dim=-1), (shares.sum(dim=3) * grid).sum(dim=-1)
    pixels = torch.stack([x, y], dim=-1).numpy() * 4
    assert pixels.std(axis=0).max() > 0.01
    assert pixels.std(axis=1).min() > 0.1
    projections = in_millimetres(batch.cameras[0])
    for joint in range(17):
        wanted = dlt(pixels[:, joint], projections, share[:, joint])
        assert np.abs(found[joint] - wanted).max() < EXACT * distant(wanted)


def test_ransac_finds_the_maxima_and_intersects_them():
    """Without the refinement, whose minimum is tested beside it; the rest is as in the released baseline."""
    config = RansacTriangulationConfig(
        depth=18, size=192, trunk=8, deconv=8, released_numerics=True, refine=False
    )
    method, batch = shaken(config.build(LEARNABLE_17)), pictures(192)
    with torch.no_grad():
        pose = method(batch.only(method.inputs))
    net = Released(method.state_dict())
    maps = net.conv(
        net.deconvolved(net.resnet(blue_green_red(batch.images[0]), (2, 2, 2, 2))), "backbone.final_layer"
    )
    index = maps.flatten(2).argmax(dim=-1).numpy()
    pixels = 4 * np.stack([index % 48, index // 48], axis=-1).astype(np.float64)
    projections = in_millimetres(batch.cameras[0])
    for joint in range(17):
        best: list[int] = []
        for pair in combinations(range(VIEWS), 2):
            two = list(pair)
            point = np.append(dlt(pixels[two, joint], projections[two], np.ones(2)), 1.0)
            image = projections @ point
            errors = np.linalg.norm(image[:, :2] / image[:, 2:] - pixels[:, joint], axis=1) / 2
            # 15 in a crop of 384 pixels
            inliers = sorted({*pair, *np.flatnonzero(errors < 15 * 192 / 384).tolist()})
            best = inliers if len(inliers) > len(best) else best
        assert pose.weights[0, :, joint].nonzero()[:, 0].tolist() == best
        wanted = dlt(pixels[best, joint], projections[best], np.ones(len(best)))
        assert np.abs(1000 * pose.joints3d[0, joint].numpy() - wanted).max() < 4 * EXACT * distant(wanted)


@pytest.mark.parametrize("aggregation", ["softmax", "sum", "max", "conf", "conf_norm"])
def test_volumetric(aggregation):
    """A grid with its end points, samples at u (W − 1) / W, no mask, V2V, expectation over the world's points."""
    config = VolumetricTriangulationConfig(
        depth=18, size=192, trunk=8, deconv=8, cells=16, levels=3, width=4, channels=6,
        aggregation=aggregation, released_numerics=True,
    )  # fmt: skip
    method, batch = shaken(config.build(LEARNABLE_17), 3.0), pictures(192)
    with torch.no_grad():
        found = 1000 * method(batch.only(method.inputs)).joints3d[0]
    net = Released(method.state_dict())
    coarse = net.resnet(blue_green_red(batch.images[0]), (2, 2, 2, 2))
    features = net.conv(net.deconvolved(coarse), "process_features.0")
    along = torch.linspace(-1250, 1250, 16, dtype=torch.float64)
    points = (
        torch.stack(torch.meshgrid(along, along, along, indexing="ij"), dim=-1) + 1000 * batch.base_point[0]
    )
    scale = torch.diag(torch.tensor([0.25, 0.25, 1.0], dtype=torch.float64))
    volumes = []
    for view, projection in enumerate(torch.from_numpy(in_millimetres(batch.cameras[0]))):
        image = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ (scale @ projection).T
        behind = image[..., 2] <= 0
        at = image[..., :2] / torch.where(image[..., 2:] == 0, 1.0, image[..., 2:])
        grid = (2 * (at / 48 - 0.5)).reshape(1, 1, -1, 2)
        sampled = functional.grid_sample(features[view : view + 1], grid, align_corners=True)
        volumes.append(torch.where(behind, 0.0, sampled.view(6, 16, 16, 16)))
    volume = torch.stack(volumes)
    if aggregation == "softmax":
        volume = (volume.softmax(dim=0) * volume).sum(dim=0)
    elif aggregation == "max":
        volume = volume.amax(dim=0)
    else:
        share = torch.ones(VIEWS, 6).double()
        if aggregation != "sum":
            share = net.confidences(coarse, "backbone.vol_confidences")
        share = share / share.sum(dim=0) if aggregation == "conf_norm" else share
        volume = (share[..., None, None, None] * volume).sum(dim=0)
    scores = v2v(net, volume[None], levels=3)[0]
    shares = scores.flatten(1).softmax(dim=-1)
    wanted = shares @ points.reshape(-1, 3)
    assert wanted.std(dim=0).min() > 1.0
    assert (found - wanted).abs().max() < EXACT


def v2v(net: Released, x: torch.Tensor, levels: int) -> torch.Tensor:
    root = "volume_net"

    def basic(x, name, padding):
        return net.norm(net.conv(x, f"{name}.block.0", padding=padding), f"{name}.block.1").relu()

    def res(x, name):
        inner = net.norm(net.conv(x, f"{name}.res_branch.0", padding=1), f"{name}.res_branch.1").relu()
        inner = net.norm(net.conv(inner, f"{name}.res_branch.3", padding=1), f"{name}.res_branch.4")
        if f"{name}.skip_con.0.weight" in net.state:
            x = net.norm(net.conv(x, f"{name}.skip_con.0"), f"{name}.skip_con.1")
        return (inner + x).relu()

    def up(x, name):
        weight, bias = net.state[f"{name}.block.0.weight"], net.state[f"{name}.block.0.bias"]
        return net.norm(functional.conv_transpose3d(x, weight, bias, stride=2), f"{name}.block.1").relu()

    x = basic(x, f"{root}.front_layers.0", 3)
    for layer in (1, 2, 3):
        x = res(x, f"{root}.front_layers.{layer}")
    skips = []
    for level in range(1, levels + 1):
        skips.append(res(x, f"{root}.encoder_decoder.skip_res{level}"))
        x = res(functional.max_pool3d(x, 2), f"{root}.encoder_decoder.encoder_res{level}")
    x = res(x, f"{root}.encoder_decoder.mid_res")
    for level in range(levels, 0, -1):
        x = res(x, f"{root}.encoder_decoder.decoder_res{level}")
        x = up(x, f"{root}.encoder_decoder.decoder_upsample{level}") + skips.pop()
    x = basic(basic(res(x, f"{root}.back_layers.0"), f"{root}.back_layers.1", 0), f"{root}.back_layers.2", 0)
    return net.conv(x, f"{root}.output_layer")


# --- EpipolarPose ------------------------------------------------------------------------------------


def test_epipolar_pose():
    """64 layers a joint, marginal expectations without half a cell, ±1 m, the true depth of the root."""
    config = EpipolarPoseConfig(
        depth=50, size=128, trunk=8, deconv=8, root_depth="labels", taught_by="truth", released_numerics=True
    )
    method, batch = shaken(config.build(EPIPOLAR_16)), pictures(128, EPIPOLAR_16)
    with torch.no_grad():
        found = 1000 * method(batch.only(method.inputs)).joints3d[0]
    net = Released(method.state_dict())
    mean, std = (
        torch.tensor(x, dtype=torch.float64) for x in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    )
    red = (255 * batch.images[0] - mean[:, None, None]) / std[:, None, None]
    scores = net.conv(net.deconvolved(net.resnet(red, (3, 4, 6, 3))), "backbone.final_layer")
    volume = scores.view(VIEWS, 16, 64, 32, 32).flatten(2).softmax(dim=-1).view(VIEWS, 16, 64, 32, 32)
    deep, down, across = (volume.sum(dim=axes) for axes in ((3, 4), (2, 4), (2, 3)))
    x, y, z = (
        (each * torch.arange(each.shape[-1])).sum(dim=-1) / each.shape[-1] - 0.5
        for each in (across, down, deep)
    )
    u, v = (x + 0.5) * 128, (y + 0.5) * 128
    root = 1000 * batch.cameras.to_camera(batch.joints3d[:, None])[0, :, EPIPOLAR_16.root_index, 2]
    depth = z * 2000 + root[:, None]
    matrix = batch.cameras.intrinsics[0]
    fx, fy, cx, cy = (matrix[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    wanted = torch.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], dim=-1)
    wanted = wanted - wanted[:, EPIPOLAR_16.root_index, None]
    assert wanted.std(dim=1).min() > 0.1
    assert (found - wanted).abs().max() < EXACT


def test_refinement_unit():
    """Fifteen joints z-scored, two stages with shortcuts, un-normalised by the labels' statistics."""
    method = RefinementUnitConfig(width=32).build(EPIPOLAR_16)
    generator = torch.Generator().manual_seed(4)
    for name, tensor in method.state_dict().items():
        if name.startswith(("input_", "target_")):
            tensor.copy_(0.1 + torch.rand(tensor.shape, generator=generator))
    method = shaken(method)
    guess = torch.randn(2, 3, 16, 3, generator=generator, dtype=torch.float64) / 4
    guess[:, :, EPIPOLAR_16.root_index] = 0
    with torch.no_grad():
        found = 1000 * method(MultiView(EPIPOLAR_16, first_guess=guess)).joints3d
    net = Released({name.removeprefix("refiner."): tensor for name, tensor in method.state_dict().items()})
    others = [joint for joint in range(16) if joint != EPIPOLAR_16.root_index]
    x = 1000 * guess[:, :, others].reshape(6, 45)
    statistics = {
        name: 1000 * net.state[name] for name in ("input_mean", "input_std", "target_mean", "target_std")
    }
    x = (x - statistics["input_mean"]) / statistics["input_std"]

    def stage(x, name):
        for pair in ((1, 2), (3, 4)):
            inner = x
            for layer in pair:
                inner = net.norm(net.linear(inner, f"{name}.w{layer}"), f"{name}.batch_norm{layer}").relu()
            x = x + inner
        return x

    h = net.norm(net.linear(x, "w1"), "batch_norm1").relu()
    first = stage(h, "linear_stages.0")
    y = net.norm(net.linear(net.linear(first, "w2"), "w3"), "batch_norm3").relu()
    second = net.linear(h + stage(first + y + h, "linear_stages.1"), "w4")
    wanted = (second * statistics["target_std"] + statistics["target_mean"]).view(2, 3, 15, 3)
    assert (found[:, :, others] - wanted).abs().max() < EXACT


def test_the_numerics_matter():
    """A guard: the default, geometrically right, gives other answers from the same weights."""
    config = AlgebraicTriangulationConfig(depth=18, size=192, trunk=8, deconv=8, released_numerics=True)
    released, batch = shaken(config.build(LEARNABLE_17), 5.0), pictures(192)
    ours = replace(config, released_numerics=False).build(LEARNABLE_17).double().eval()
    ours.load_state_dict(released.state_dict())
    with torch.no_grad():
        apart = ours(batch.only(ours.inputs)).joints3d - released(batch.only(ours.inputs)).joints3d
    assert 1000 * apart.norm(dim=-1).max() > 1.0
