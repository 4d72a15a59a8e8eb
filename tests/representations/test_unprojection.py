import math

import jaxtyping
import pytest
import torch
from torch.nn import functional

import coview.representations.unprojection as unprojection
from coview.data.synthetic.recordings import ring_cameras
from coview.representations.heatmaps import cells_from_world
from coview.representations.unprojection import unproject
from coview.representations.volumes import cuboid

KINDS = ["sum", "max", "softmax"]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch):
    """So that tiny volumes take several blocks."""
    monkeypatch.setattr(unprojection, "_BLOCK", {"cpu": 1, "cuda": 1})


def scene(views=3, channels=4, height=9, width=9, cells=5, batch=2, dtype=torch.float64):  # type: ignore[no-untyped-def]
    """Cameras so near that some voxels lie behind them and many outside the maps."""
    generator = torch.Generator().manual_seed(views)
    features = torch.randn(batch, views, channels, height, width, generator=generator, dtype=torch.float64)
    cameras = ring_cameras(views, radius=1.2, focal=60.0, size=(4 * width, 4 * height), start_angle=0.3)
    projections = cells_from_world(cameras.pixels_from_world.double(), (4.0, 4.0)).expand(batch, views, 3, 4)
    centres = torch.tensor([0.1, 0, 1.0]) + 0.2 * torch.randn(batch, 3, generator=generator)
    points = cuboid(centres.double(), 2.5, cells, torch.rand(batch, generator=generator).double())
    return features.to(dtype), projections.contiguous(), points.to(dtype)


def joined(samples: list[float], aggregate: str) -> float:
    """Over views, as the paper writes it."""
    if not samples:
        return 0.0
    if aggregate == "softmax":
        total = sum(math.exp(value) for value in samples)
        return sum(math.exp(value) / total * value for value in samples)
    return sum(samples) if aggregate == "sum" else max(samples)


def by_loops(features, projections, points, aggregate: str) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The slow twin of the default mode: one voxel, one channel, one view at a time."""
    views, channels, height, width = features.shape
    volume = points.new_zeros(channels, *points.shape[:3])
    for index in torch.cartesian_prod(*(torch.arange(size) for size in points.shape[:3])).tolist():
        point = torch.cat([points[tuple(index)], points.new_ones(1)])
        for channel in range(channels):
            samples = []
            for view in range(views):
                a, b, depth = (projections[view] @ point).tolist()
                u, v = (a / depth, b / depth) if depth > 0 else (math.nan, math.nan)
                if not (-0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
                    continue
                u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
                x, y = min(int(u), width - 2), min(int(v), height - 2)
                cells = features[view, channel, y : y + 2, x : x + 2]
                left, right = (cells[:, side].tolist() for side in (0, 1))
                upper = left[0] * (1 - u + x) + right[0] * (u - x)
                lower = left[1] * (1 - u + x) + right[1] * (u - x)
                samples.append(upper * (1 - v + y) + lower * (v - y))
            volume[channel, *index] = joined(samples, aggregate)
    return volume


def as_released(features, projections, points, aggregate: str) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The released numerics (specification §6.3, §6.4), all views at once; differentiable."""
    size = features.shape[-1]
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1).flatten(0, 2)
    image = homogeneous @ projections.mT
    behind = image[..., 2:] <= 0
    places = image[..., :2] / torch.where(image[..., 2:] == 0, 1.0, image[..., 2:])
    grid = 2 * (places / size - 0.5)
    views = functional.grid_sample(features, grid[:, None], align_corners=True, padding_mode="zeros")[:, :, 0]
    views = torch.where(behind.mT, 0.0, views)
    if aggregate == "softmax":
        views = (views.softmax(dim=0) * views).sum(dim=0)
    else:
        views = views.sum(dim=0) if aggregate == "sum" else views.amax(dim=0)
    return views.view(-1, *points.shape[:3])


# --- against the twins -------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregate", KINDS)
@pytest.mark.parametrize(("height", "width"), [(9, 9), (7, 12)])
def test_the_volume_agrees_with_its_slow_twin(aggregate, height: int, width: int):  # type: ignore[no-untyped-def]
    features, projections, points = scene(height=height, width=width)
    found = unproject(features, projections, points, aggregate)
    for item in range(2):
        twin = by_loops(features[item], projections[item], points[item], aggregate)
        torch.testing.assert_close(found[item], twin, atol=1e-10, rtol=0)
        assert (twin == 0).any()
        assert (twin != 0).any()


@pytest.mark.parametrize("aggregate", KINDS)
@pytest.mark.parametrize("views", [1, 31])
def test_single_precision_agrees_with_the_slow_twin(aggregate, views: int):  # type: ignore[no-untyped-def]
    features, projections, points = scene(views=views, channels=2, batch=1, cells=3)
    found = unproject(features.float(), projections, points.float(), aggregate)[0]
    twin = by_loops(features[0], projections[0], points[0].float().double(), aggregate)
    torch.testing.assert_close(found.double(), twin, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("aggregate", KINDS)
def test_the_reference_mode_repeats_the_released_numerics(aggregate):  # type: ignore[no-untyped-def]
    features, projections, points = scene()
    found = unproject(features, projections, points, aggregate, released_numerics=True)
    for item in range(2):
        twin = as_released(features[item], projections[item], points[item], aggregate)
        torch.testing.assert_close(found[item], twin, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("released_numerics", "sampled"), [(True, 80 * 95 / 96), (False, 80.0)])
def test_the_released_weights_see_a_contracted_map(released_numerics: bool, sampled: float):
    """Cell 80 of 96 is sampled at 79.167 (specification §6.3); by default where it is."""
    ramp = torch.arange(96.0, dtype=torch.float64).expand(1, 1, 96, 96)
    projections = torch.tensor([[[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]]], dtype=torch.float64)
    points = torch.tensor([80.0, 10.0, 1.0], dtype=torch.float64).view(1, 1, 1, 3)
    found = unproject(ramp, projections, points, "sum", released_numerics=released_numerics)
    assert found.item() == pytest.approx(sampled)
    assert not released_numerics or round(found.item(), 3) == 79.167


# --- gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("released_numerics", [False, True])
@pytest.mark.parametrize("aggregate", KINDS)
def test_gradients_reach_features_and_weights(aggregate, released_numerics: bool):  # type: ignore[no-untyped-def]
    features, projections, points = scene(channels=2, height=5, width=5, cells=3, batch=1)
    weights = torch.rand(1, 3, 2, generator=torch.Generator().manual_seed(1)).double().requires_grad_()

    def volume(features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return unproject(
            features, projections, points, aggregate, weights, released_numerics=released_numerics
        )

    assert torch.autograd.gradcheck(volume, (features.requires_grad_(), weights), fast_mode=True)


@pytest.mark.parametrize("aggregate", KINDS)
def test_gradients_are_those_of_the_released_formula(aggregate):  # type: ignore[no-untyped-def]
    features, projections, points = scene(batch=1)
    given = features[0].requires_grad_()
    pull = torch.randn(4, 5, 5, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ours = unproject(given, projections[0], points[0], aggregate, released_numerics=True)
    (found,) = torch.autograd.grad((ours * pull).sum(), given)
    twin = as_released(given, projections[0], points[0], aggregate)
    (expected,) = torch.autograd.grad((twin * pull).sum(), given)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


# --- properties --------------------------------------------------------------------------------------


def test_weights_scale_the_features():
    features, projections, points = scene()
    weights = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1)).double()
    scaled = unproject(features * weights[..., None, None], projections, points, "sum")
    torch.testing.assert_close(unproject(features, projections, points, "sum", weights), scaled)


def test_what_no_view_sees_is_zero_and_pulls_nothing():
    features, projections, points = scene()
    features.requires_grad_()
    for aggregate in ("sum", "max", "softmax"):
        volume = unproject(features - 5, projections, points + 100, aggregate)
        assert (volume == 0).all()
        (pulled,) = torch.autograd.grad(volume.sum(), features)
        assert (pulled == 0).all()


def test_places_that_are_not_finite_are_seen_by_nobody():
    features, projections, points = scene()
    points[0, 0, 0, 0] = math.nan
    points[0, 0, 0, 1] = math.inf
    for released_numerics in (False, True):
        volume = unproject(features, projections, points, released_numerics=released_numerics)
        assert volume.isfinite().all()
        assert (volume[0, :, 0, 0, :2] == 0).all()


@pytest.mark.parametrize("aggregate", ["max", "softmax"])
def test_a_view_that_does_not_see_takes_no_part(aggregate):  # type: ignore[no-untyped-def]
    """With released_numerics=True its zero does, and wins over negative features."""
    features, projections, points = scene()
    away = projections.clone()
    away[:, 0, :, 3] -= 1000 * projections[:, 0, :, 2]  # the first camera looks elsewhere
    away[:, 0, 2] = -projections[:, 0, 2].abs()
    away[:, 0, 2, 3] = -100.0
    negative = -features.abs()
    with_it = unproject(negative, away, points, aggregate)
    torch.testing.assert_close(with_it, unproject(negative[:, 1:], away[:, 1:], points, aggregate))
    released = unproject(negative, away, points, aggregate, released_numerics=True)
    assert (
        released >= unproject(negative[:, 1:], away[:, 1:], points, aggregate, released_numerics=True)
    ).all()
    if aggregate == "max":
        assert (released == 0).all()


def test_a_batch_is_its_items_one_by_one():
    features, projections, points = scene(batch=3)
    together = unproject(features, projections, points)
    for item in range(3):
        torch.testing.assert_close(together[item], unproject(features[item], projections[item], points[item]))


def test_huge_features_do_not_overflow():
    features, projections, points = scene(dtype=torch.float32)
    volume = unproject(1e4 * features, projections, points, "softmax")
    highest = unproject(1e4 * features, projections, points, "max")
    assert volume.isfinite().all()
    assert (volume <= highest + 1e-2).all()


def test_autocast_and_half_precision_are_computed_in_single():
    features, projections, points = scene(dtype=torch.float32)
    features = features.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        volume = unproject(features, projections, points)
    assert volume.dtype == torch.float32
    torch.testing.assert_close(volume, unproject(features.float(), projections, points))


def test_the_volume_lies_channels_last():
    features, projections, points = scene()
    assert unproject(features, projections, points).is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("aggregate", KINDS)
def test_a_gpu_gives_the_same(aggregate):  # type: ignore[no-untyped-def]
    features, projections, points = scene()
    here, there = features.clone().requires_grad_(), features.cuda().requires_grad_()
    volume = unproject(here, projections, points, aggregate)
    on_gpu = unproject(there, projections.cuda(), points.cuda(), aggregate)
    torch.testing.assert_close(on_gpu.cpu(), volume)
    volume.square().sum().backward()
    on_gpu.square().sum().backward()
    torch.testing.assert_close(there.grad.cpu(), here.grad)


# --- messages ----------------------------------------------------------------------------------------


def test_the_reference_mode_refuses_maps_that_are_not_square():
    features, projections, points = scene(height=7, width=12)
    with pytest.raises(ValueError, match="square maps, got 12 × 7 cells"):
        unproject(features, projections, points, released_numerics=True)


def test_an_unknown_aggregate_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="'sum', 'max' or 'softmax', got 'mean'"):
        unproject(*scene(), "mean")  # type: ignore[arg-type]
