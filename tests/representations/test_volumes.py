import math

import jaxtyping
import pytest
import torch

from coview.representations.volumes import cuboid, nearest_cell, soft_argmax3d


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- the cube ----------------------------------------------------------------------------------------


def test_end_points_are_included():
    """2.5 m over 64 voxels is a pitch of 39.683 mm (specification §6.2)."""
    points = cuboid(torch.tensor([1.0, -2.0, 0.9], dtype=torch.float64), 2.5, 64)
    assert points.shape == (64, 64, 64, 3)
    assert points[0, 0, 0].tolist() == pytest.approx([-0.25, -3.25, -0.35])
    assert points[-1, -1, -1].tolist() == pytest.approx([2.25, -0.75, 2.15])
    assert 1000 * float(points[1, 0, 0, 0] - points[0, 0, 0, 0]) == pytest.approx(39.683, abs=5e-4)


def test_axes_are_the_worlds():
    points = cuboid(torch.zeros(3), 1.0, 3)
    for axis in range(3):
        index = [1, 1, 1]
        index[axis] = 2
        expected = torch.zeros(3)
        expected[axis] = 0.5
        assert torch.equal(points[tuple(index)], expected)


@pytest.mark.parametrize(("axis", "before", "after"), [("z", 0, 1), ("y", 2, 0)])
def test_a_quarter_turn_is_right_handed(axis, before: int, after: int):  # type: ignore[no-untyped-def]
    """Rz(90°) x̂ = ŷ (specification §6.2), and about y: ẑ comes to x̂."""
    turn = torch.tensor(math.pi / 2, dtype=torch.float64)
    points = cuboid(torch.zeros(3, dtype=torch.float64), 2.0, 3, turn, axis)
    index = [1, 1, 1]
    index[before] = 2
    expected = torch.zeros(3, dtype=torch.float64)
    expected[after] = 1.0
    torch.testing.assert_close(points[tuple(index)], expected)


def test_each_cube_of_a_batch_has_its_centre_and_turn():
    centres, turns = random(2, 3, 3), random(2, 3)
    together = cuboid(centres, 1.5, 4, turns)
    for item in [(0, 0), (1, 2)]:
        torch.testing.assert_close(together[item], cuboid(centres[item], 1.5, 4, turns[item]))
        torch.testing.assert_close(together[item].mean(dim=(0, 1, 2)), centres[item])


@pytest.mark.parametrize(("side", "cells", "axis"), [(0.0, 4, "z"), (1.0, 1, "z"), (1.0, 4, "x")])
def test_what_is_no_cube_is_an_error(monkeypatch, side: float, cells: int, axis):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="cuboid"):
        cuboid(torch.zeros(3), side, cells, axis=axis)


# --- soft-argmax -------------------------------------------------------------------------------------


def test_soft_argmax_agrees_with_its_slow_twin():
    volume, points = random(2, 3, 4, 5, 6), random(2, 4, 5, 6, 3, seed=1)
    places, shares = soft_argmax3d(volume, points, 2.0)
    for item in range(2):
        for joint in range(3):
            masses = [math.exp(2 * float(value)) for value in volume[item, joint].flatten()]
            expected = sum(m * p for m, p in zip(masses, points[item].view(-1, 3), strict=True)) / sum(masses)
            torch.testing.assert_close(places[item, joint], expected)
            expected = torch.tensor(masses, dtype=torch.float64) / sum(masses)
            torch.testing.assert_close(shares[item, joint].flatten(), expected)


def test_single_precision_far_from_the_origin():
    """Millimetres, 10 m away, 64³ voxels: a hundredth of a millimetre (specification §10)."""
    points = cuboid(torch.tensor([10_000.0, -9_000.0, 900.0]), 2500.0, 64)
    volume = 3 * random(2, 64, 64, 64).float()
    found, _ = soft_argmax3d(volume, points)
    truth, _ = soft_argmax3d(volume.double(), points.double())
    torch.testing.assert_close(found.double(), truth, atol=1e-2, rtol=0)


def test_soft_argmax_gradient():
    volume, points = random(2, 3, 2, 3).requires_grad_(), random(3, 2, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, p: soft_argmax3d(v, p, 1.5), (volume, points))


def test_autocast_does_not_reach_inside():
    volume, points = random(2, 8, 8, 8).float(), cuboid(torch.ones(3), 2.5, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = soft_argmax3d(volume, points)
    torch.testing.assert_close(found, soft_argmax3d(volume, points)[0])


# --- the nearest voxel -------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["y", "z"])
def test_the_nearest_voxel_is_that_of_the_brute_force(axis):  # type: ignore[no-untyped-def]
    points = cuboid(random(4, 3), 2.5, 7, random(4, seed=1), axis)
    joints = points.mean(dim=(1, 2, 3))[:, None] + 0.8 * random(4, 40, 3, seed=2)  # some outside
    brute = torch.cdist(joints, points.flatten(1, 3)).argmin(dim=-1)
    assert torch.equal(nearest_cell(points, joints), brute)


def test_every_voxel_is_nearest_to_itself():
    points = cuboid(random(3), 1.0, 5, random(1)[0])
    assert torch.equal(nearest_cell(points, points.flatten(0, 2)), torch.arange(125))


def test_an_unknown_joint_has_some_voxel():
    joints = torch.tensor([[math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert nearest_cell(cuboid(torch.zeros(3), 1.0, 3), joints).tolist() == [0, 0, 13]
