import torch

from coview.geometry.bundle.board_schur import eliminate_boards, normal_equations


def some(seed=0):
    """Two views, three instants, all seen; rows of 8."""
    random = torch.Generator().manual_seed(seed)
    view, instant = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 2, 0, 1, 2])

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    return view, instant, draw(6, 20), (draw(6, 20, 4), draw(6, 20, 6))


def dense(view, instant, residual, slopes):
    """The textbook's Jacobian: a row per residual, cameras' columns first."""
    jacobian = torch.zeros(6, 20, 8 + 18).double()
    for s in range(6):
        jacobian[s, :, 4 * view[s] : 4 * view[s] + 4] = slopes[0][s]
        jacobian[s, :, 8 + 6 * instant[s] : 14 + 6 * instant[s]] = slopes[1][s]
    return jacobian.flatten(0, 1), residual.flatten()


def test_the_reduced_system_solves_the_whole():
    view, instant, residual, slopes = some()
    jacobian, target = dense(view, instant, residual, slopes)
    whole = torch.linalg.lstsq(jacobian, -target).solution
    equations = normal_equations(view, instant, residual, slopes, (2, 3))
    system = eliminate_boards(equations, torch.ones(8, dtype=torch.bool), damping=0.0)
    torch.testing.assert_close(torch.linalg.solve(system.matrix, system.rhs), whole[:8], atol=1e-8, rtol=1e-6)


def test_the_reduced_matrix_is_the_inverse_of_the_cameras_covariance():
    view, instant, residual, slopes = some(1)
    jacobian, _ = dense(view, instant, residual, slopes)
    covariance = torch.linalg.inv(jacobian.mT @ jacobian)[:8, :8]
    equations = normal_equations(view, instant, residual, slopes, (2, 3))
    system = eliminate_boards(equations, torch.ones(8, dtype=torch.bool), damping=0.0)
    torch.testing.assert_close(torch.linalg.inv(system.matrix), covariance, atol=1e-8, rtol=1e-6)


def test_what_is_held_has_no_row():
    view, instant, residual, slopes = some()
    equations = normal_equations(view, instant, residual, slopes, (2, 3))
    free = torch.tensor([False] * 4 + [True] * 4)
    assert eliminate_boards(equations, free, damping=0.0).matrix.shape == (4, 4)
    stiff = equations.with_prior(torch.full((8,), 1e6).double(), torch.zeros(8).double())
    system = eliminate_boards(stiff, free, damping=0.0)
    assert torch.linalg.solve(system.matrix, system.rhs).abs().max() < 1e-9
