import math

import jaxtyping
import pytest
import torch

from coview.representations.heatmaps import (
    cells_from_world,
    gaussian_maps,
    hard_argmax,
    image_pixels,
    map_cells,
    map_stride,
    peaks,
    soft_argmax,
)


def random_maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_loops(heatmap: torch.Tensor, multiplier: float) -> tuple[float, float]:
    """The slow twin: one pixel at a time, in Python's double precision."""
    height, width = heatmap.shape
    highest = max(multiplier * float(value) for value in heatmap.flatten())
    total = column = row = 0.0
    for y in range(height):
        for x in range(width):
            mass = math.exp(multiplier * float(heatmap[y, x]) - highest)
            total, column, row = total + mass, column + x * mass, row + y * mass
    return column / total, row / total


# --- soft-argmax -------------------------------------------------------------------------------------


@pytest.mark.parametrize("multiplier", [1.0, 5.0, 100.0])
def test_soft_argmax_agrees_with_its_slow_twin(multiplier: float):
    maps = random_maps(2, 3, 24, 31)
    found = soft_argmax(maps, multiplier)
    for item in range(2):
        for joint in range(3):
            truth = torch.tensor(by_loops(maps[item, joint], multiplier))
            torch.testing.assert_close(found[item, joint], truth, atol=1e-4, rtol=0)


@pytest.mark.parametrize("place", [(0, 0), (95, 0), (40, 71), (95, 95)])
def test_a_lone_peak_is_found_exactly(place: tuple[int, int]):
    """A map of 96 × 96 with a spike of 1: exact with the released multiplier 100 (specification §8)."""
    maps = torch.zeros(1, 96, 96)
    maps[0, place[1], place[0]] = 1.0
    torch.testing.assert_close(soft_argmax(maps, 100.0)[0], torch.tensor(place).float(), atol=1e-4, rtol=0)


def test_without_the_multiplier_a_lone_peak_collapses_to_the_centre():
    maps = torch.zeros(1, 96, 96)
    maps[0, 80, 90] = 1.0
    found = soft_argmax(maps, 1.0)[0]
    weight = math.e / (math.e + 96 * 96 - 1)  # of the spike's cell; the rest is flat
    mean = 47.5 + (weight - 1 / (96 * 96)) / (1 - 1 / (96 * 96)) * (torch.tensor([90.0, 80.0]) - 47.5)
    torch.testing.assert_close(found, mean, atol=1e-3, rtol=0)
    assert (found - 47.5).abs().max() < 0.01


def test_columns_come_first_on_maps_that_are_not_square():
    maps = torch.zeros(1, 8, 20)
    maps[0, 3, 17] = 1.0
    assert soft_argmax(maps, 100.0)[0].tolist() == pytest.approx([17, 3], abs=1e-4)
    assert hard_argmax(maps)[0].tolist() == [17, 3]


def test_relu_divides_by_mass():
    maps = torch.tensor([[[-5.0, 1.0, 3.0], [0.0, 0.0, 0.0]]])
    torch.testing.assert_close(soft_argmax(maps, normalise="relu")[0], torch.tensor([1.75, 0.0]))


def test_relu_of_nothing_is_unknown_with_gradient_zero():
    maps = -torch.ones(2, 4, 4)
    maps[1, 2, 3] = 1.0
    maps.requires_grad_()
    found = soft_argmax(maps, normalise="relu")
    assert found[0].isnan().all()
    assert found[1].tolist() == [3, 2]
    found.nansum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()
    assert (maps.grad[0] == 0).all()


@pytest.mark.parametrize("normalise", ["softmax", "relu"])
def test_soft_argmax_gradient(normalise):  # type: ignore[no-untyped-def]
    maps = random_maps(2, 5, 4, dtype=torch.float64).abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: soft_argmax(given, 3.0, normalise=normalise), maps)


def test_half_precision_is_computed_in_single():
    maps = random_maps(3, 16, 16).bfloat16()
    found = soft_argmax(maps)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, soft_argmax(maps.float()))


def test_an_unknown_normalisation_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="'softmax' or 'relu', got 'none'"):
        soft_argmax(torch.zeros(1, 2, 2), normalise="none")  # type: ignore[arg-type]


def test_hard_argmax_is_the_place_of_the_largest():
    maps = random_maps(2, 4, 9, 13)
    found = hard_argmax(maps)
    for item in range(2):
        for joint in range(4):
            x, y = found[item, joint].long().tolist()
            assert maps[item, joint, y, x] == maps[item, joint].max()


# --- cells and pixels --------------------------------------------------------------------------------


def test_cell_centres_in_the_image():
    stride = map_stride((384, 192), (96, 48))
    assert stride == (4.0, 4.0)
    cells = torch.tensor([[0.0, 0.0], [95.0, 47.0]])
    assert image_pixels(cells, stride).tolist() == [[1.5, 1.5], [381.5, 189.5]]
    assert image_pixels(cells, stride, half_pixel=False).tolist() == [[0, 0], [380, 188]]


@pytest.mark.parametrize("half_pixel", [True, False])
def test_pixels_and_cells_go_round(half_pixel: bool):
    stride = map_stride((100, 60), (24, 17))
    pixels = 50 * random_maps(7, 2)
    cells = map_cells(pixels, stride, half_pixel=half_pixel)
    torch.testing.assert_close(image_pixels(cells, stride, half_pixel=half_pixel), pixels)


@pytest.mark.parametrize("half_pixel", [True, False])
def test_projecting_into_cells_is_projecting_and_then_converting(half_pixel: bool):
    stride = map_stride((100, 60), (25, 20))
    projections, points = random_maps(3, 3, 4, dtype=torch.float64), random_maps(3, 4, 1, dtype=torch.float64)
    image = (projections @ points)[..., 0]
    cells = (cells_from_world(projections, stride, half_pixel=half_pixel) @ points)[..., 0]
    expected = map_cells(image[:, :2] / image[:, 2:], stride, half_pixel=half_pixel)
    torch.testing.assert_close(cells[:, :2] / cells[:, 2:], expected)


def test_empty_sizes_are_an_error():
    with pytest.raises(ValueError, match="at least 1"):
        map_stride((384, 384), (96, 0))


# --- drawing -----------------------------------------------------------------------------------------


def test_drawn_joints_are_found_again():
    joints = torch.tensor([[[7.25, 7.5], [20.0, 8.0]]])
    maps = gaussian_maps(joints, torch.ones(1, 2), (16, 30), sigma=1.5)
    assert maps.shape == (1, 2, 16, 30)
    assert float(maps[0, 1, 8, 20]) == 1.0
    assert float(maps[0, 1, 8, 22]) == pytest.approx(math.exp(-0.5 * (2 / 1.5) ** 2))
    torch.testing.assert_close(soft_argmax(maps, normalise="relu"), joints, atol=0.01, rtol=0)


def test_unseen_joints_have_empty_maps():
    joints = torch.tensor([[4.0, 4.0], [math.nan, 4.0], [4.0, 4.0]])
    maps = gaussian_maps(joints, torch.tensor([0.0, 1.0, 1.0]), (8, 8), sigma=1.0)
    assert (maps[:2] == 0).all()
    assert maps[2].max() == 1


def test_a_sigma_of_zero_is_an_error():
    with pytest.raises(ValueError, match="map cells and must be positive, got 0"):
        gaussian_maps(torch.zeros(1, 2), torch.ones(1), (8, 8), sigma=0.0)


def test_a_peak_is_found_between_cells_and_holds_all_of_its_map():
    place = torch.tensor([[5.3, 7.6]])
    bump = gaussian_maps(place, torch.ones(1), (16, 12), 1.0)
    cells, share = peaks(bump.clamp_min(1e-9).log(), 1.0, reach=4)
    torch.testing.assert_close(cells, place, atol=0.01, rtol=0.0)
    assert share.item() == pytest.approx(1.0, abs=1e-3)


def test_of_two_peaks_the_larger_is_the_answer_and_not_their_middle():
    two = torch.full((1, 16, 12), -50.0)
    two[0, 3, 2], two[0, 12, 9] = math.log(0.6), math.log(0.4)
    cells, share = peaks(two, 1.0)
    torch.testing.assert_close(cells, torch.tensor([[2.0, 3.0]]))
    assert share.item() == pytest.approx(0.6)


def test_a_flat_map_has_next_to_no_peak():
    _, share = peaks(torch.zeros(2, 32, 32), 10.0)
    assert share.max() < 0.03
