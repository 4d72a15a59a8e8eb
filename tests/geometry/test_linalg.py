import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.geometry.linalg import inverse_3x3, inverse_symmetric, solve_3x3, solve_symmetric

UPPER = torch.triu_indices(3, 3)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def triangles(matrices: torch.Tensor) -> torch.Tensor:
    """(systems, 3, 3) as (6, systems)."""
    return matrices[:, UPPER[0], UPPER[1]].T


@given(seed=st.integers(0, 2**31), size=st.floats(-12, 12))
@settings(deadline=None)
def test_solving_undoes_multiplying_at_any_size(seed: int, size: float):
    matrix, x = normal(5, 3, 3, seed=seed) * 10**size, normal(5, 3, seed=seed + 1)
    condition = torch.linalg.cond(matrix)
    found = solve_3x3(matrix, (matrix @ x[..., None])[..., 0])
    assert ((found - x).norm(dim=-1) <= 1e-13 * condition**2 * x.norm(dim=-1)).all()


def test_inverse_by_hand():
    # [[2, 0, 0], [0, 0, 4], [0, 1, 0]] swaps and scales; so does its inverse.
    matrix = torch.tensor([[2.0, 0, 0], [0, 0, 4], [0, 1, 0]])
    torch.testing.assert_close(inverse_3x3(matrix), torch.tensor([[0.5, 0, 0], [0, 0, 1], [0, 0.25, 0]]))


def test_the_inverse_is_that_of_torch():
    matrix = normal(100, 3, 3)
    torch.testing.assert_close(inverse_3x3(matrix), torch.linalg.inv(matrix), rtol=1e-9, atol=1e-9)


def test_gradients_are_those_of_finite_differences():
    matrix, vector = normal(2, 3, 3).requires_grad_(), normal(2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(solve_3x3, (matrix, vector))


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_singular_matrix_gives_nan_and_zero_gradients(rank: int):
    matrix = torch.diag(torch.tensor([1.0, 1, 1]) * (torch.arange(3) < rank)).requires_grad_()
    found = solve_3x3(matrix, torch.ones(3))
    found.nansum().backward()
    assert found.isnan().all()
    assert (matrix.grad == 0).all()


@given(seed=st.integers(0, 2**31), size=st.floats(-5, 12))
@settings(deadline=None)
def test_symmetric_systems_agree_with_torch(seed: int, size: float):
    root = normal(7, 3, 3, seed=seed)
    matrix, vector = (root @ root.mT + 0.1 * torch.eye(3)) * 10**size, normal(7, 3, seed=seed + 1)
    found, determined = solve_symmetric(triangles(matrix), vector.T)
    assert determined.all()
    torch.testing.assert_close(found.T, torch.linalg.solve(matrix, vector), rtol=1e-8, atol=0)
    inverse, determined = inverse_symmetric(triangles(matrix))
    assert determined.all()
    torch.testing.assert_close(inverse, triangles(torch.linalg.inv(matrix)), rtol=1e-8, atol=1e-20)


def test_symmetric_gradients_are_those_of_finite_differences():
    root = normal(3, 3, 3)
    triangle = triangles(root @ root.mT + torch.eye(3)).requires_grad_()
    vector = normal(3, 3, seed=1).T.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda m, v: solve_symmetric(m, v)[0], (triangle, vector))
    assert torch.autograd.gradcheck(lambda m: inverse_symmetric(m)[0], (triangle,))


def test_what_is_not_positive_definite_is_told_and_stays_finite():
    a = torch.tensor([1.0, 2.0, -1.0])
    matrices = torch.stack([torch.outer(a, a), torch.zeros(3, 3), -torch.eye(3), torch.eye(3) * 1e-30])
    triangle = triangles(matrices).requires_grad_()
    for values, determined in (solve_symmetric(triangle, torch.ones(3, 4)), inverse_symmetric(triangle)):
        assert not determined.any()
        assert values.isfinite().all()
        (gradient,) = torch.autograd.grad(values.sum(), triangle, retain_graph=True)
        assert gradient.isfinite().all()
