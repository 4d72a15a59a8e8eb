"""The lens models' derivatives against autograd, and the inverse against the models themselves."""

import pytest
import torch

from coview.distortion import (
    COEFFICIENTS,
    distort,
    distort_with_jacobian,
    is_distorted,
    radial_by_k1,
    undistort,
)

LENSES = {
    "brown": ([-0.28, 0.09, 0.002, -0.001, 0.01, 0.02, -0.01, 0.005], False),
    "tangential": ([0.0, 0.0, 0.01, -0.02, 0, 0, 0, 0], False),
    "fisheye": ([0.08, -0.02, 0.005, -0.001, 0, 0, 0, 0], True),
    "plain fisheye": ([0.0] * COEFFICIENTS, True),
}


def lens(name: str, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    coefficients, fisheye = LENSES[name]
    return torch.tensor(coefficients, dtype=dtype), torch.tensor(fisheye)


def plane(reach: float = 0.6, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    side = torch.linspace(-reach, reach, 11, dtype=dtype)
    x, y = torch.meshgrid(side, side, indexing="ij")
    return x.flatten(), y.flatten()


@pytest.mark.parametrize("name", LENSES)
def test_jacobian_equals_autograd(name):
    x, y = (each.requires_grad_() for each in plane())
    found = distort_with_jacobian(x, y, *lens(name))
    torch.testing.assert_close((found.x, found.y), distort(x, y, *lens(name)), rtol=0, atol=0)
    by_x, x_by_y = torch.autograd.grad(found.x.sum(), (x, y), retain_graph=True)
    y_by_x, by_y = torch.autograd.grad(found.y.sum(), (x, y))
    ours = torch.stack([found.x_by_x, found.x_by_y, found.x_by_y, found.y_by_y])
    torch.testing.assert_close(ours, torch.stack([by_x, x_by_y, y_by_x, by_y]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LENSES)
def test_derivative_by_k1_equals_autograd(name):
    x, y = plane()
    coefficients, fisheye = lens(name)
    coefficients.requires_grad_()
    moved = distort(x, y, coefficients, fisheye)[0]
    by_k1 = torch.stack([torch.autograd.grad(each, coefficients, retain_graph=True)[0][0] for each in moved])
    factor = radial_by_k1(x * x + y * y, *lens(name))
    torch.testing.assert_close(x * factor, by_k1, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize(("dtype", "exact"), [(torch.float64, 1e-14), (torch.float32, 2e-6)])
def test_undistortion_inverts(name, dtype, exact):
    x, y = plane(dtype=dtype)
    there = distort(x, y, *lens(name, dtype))
    back = undistort(*there, *lens(name, dtype))
    torch.testing.assert_close(torch.stack(back), torch.stack([x, y]), rtol=0, atol=exact)


def test_each_lens_of_a_batch_is_its_own():
    x, y = plane()
    rows = [lens(name) for name in LENSES]
    coefficients, fisheye = (torch.stack(column) for column in zip(*rows, strict=True))
    together = distort_with_jacobian(x, y, coefficients, fisheye)
    for number, row in enumerate(rows):
        alone = distort_with_jacobian(x, y, *row)
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[number], other)


def test_a_fisheye_is_a_pinhole_on_its_axis():
    nothing = torch.zeros(1, dtype=torch.float64)
    found = distort_with_jacobian(nothing, nothing, *lens("fisheye"))
    assert [float(each) for each in found] == [0, 0, 1, 0, 1]


def test_where_the_model_does_not_reach_the_answer_is_finite_and_misses():
    """r / (1 + r²) is never more than a half: no point of the plane is seen at 0.7."""
    coefficients = torch.tensor([0.0, 0, 0, 0, 0, 1.0, 0, 0], dtype=torch.float64)
    far, zero = torch.tensor([0.7], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    found = undistort(far, zero, coefficients, torch.tensor(False))
    again = distort(*found, coefficients, torch.tensor(False))
    assert torch.stack(found).isfinite().all()
    assert float((again[0] - far).abs()) > 0.1


def test_only_a_lens_without_coefficients_is_perfect():
    nothing, straight = torch.zeros(2, COEFFICIENTS), torch.zeros(2, dtype=torch.bool)
    assert not is_distorted(nothing, straight)
    assert is_distorted(nothing, torch.tensor([False, True]))
    assert is_distorted(nothing.index_fill(1, torch.tensor(4), 1e-9), straight)
