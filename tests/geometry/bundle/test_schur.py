import pytest
import torch

from coview.geometry.bundle.distance_prior import PairRows
from coview.geometry.bundle.residuals import Linearised
from coview.geometry.bundle.schur import Cholesky3, eliminate, normal_equations

VIEWS, COUNT = 3, 7


def random_rows(columns: int) -> Linearised:
    generator = torch.Generator().manual_seed(columns)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    residuals = draw(VIEWS, 2, COUNT)
    return Linearised(
        residuals=residuals,
        in_front=torch.ones(VIEWS, COUNT, dtype=torch.float64),
        weighted_residuals=residuals,
        camera_rows=draw(VIEWS, columns, 2, COUNT),
        point_rows=draw(VIEWS, 3, 2, COUNT),
        cost=0.0,
    )


def random_pairs() -> PairRows:
    generator = torch.Generator().manual_seed(9)
    rows = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    residuals = torch.randn(3, generator=generator, dtype=torch.float64)
    return PairRows(torch.tensor([[0, 0, 4], [1, 3, 1]]), residuals, rows)


def dense_jacobian(rows: Linearised, pairs: PairRows | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Textbook twin: every row written out, cameras first, then points (coordinate by coordinate)."""
    columns = rows.camera_rows.shape[1]
    jacobian, residuals = [], []
    for view in range(VIEWS):
        for axis in range(2):
            for point in range(COUNT):
                cameras, points = torch.zeros(VIEWS, columns).double(), torch.zeros(3, COUNT).double()
                cameras[view] = rows.camera_rows[view, :, axis, point]
                points[:, point] = rows.point_rows[view, :, axis, point]
                jacobian.append(torch.cat([cameras.flatten(), points.flatten()]))
                residuals.append(rows.weighted_residuals[view, axis, point])
    for pair in range(0 if pairs is None else 3):
        cameras, points = torch.zeros(VIEWS, columns).double(), torch.zeros(3, COUNT).double()
        points[:, pairs.ends[0, pair]] = pairs.rows[0, :, pair]
        points[:, pairs.ends[1, pair]] = pairs.rows[1, :, pair]
        jacobian.append(torch.cat([cameras.flatten(), points.flatten()]))
        residuals.append(pairs.residuals[pair])
    return torch.stack(jacobian), torch.stack(residuals)


@pytest.mark.parametrize("pairs", [None, random_pairs()], ids=["free", "prior"])
@pytest.mark.parametrize("columns", [6, 7])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_elimination_equals_the_dense_solve(pairs, columns, damping):
    rows = random_rows(columns)
    jacobian, residuals = dense_jacobian(rows, pairs)
    without_prior = jacobian[: 2 * VIEWS * COUNT]
    growth = damping * (without_prior.square().sum(dim=0))
    expected = torch.linalg.solve(jacobian.mT @ jacobian + growth.diag(), -jacobian.mT @ residuals)
    reduced = eliminate(normal_equations(rows, pairs), damping)
    step = torch.linalg.solve(reduced.matrix, reduced.rhs)
    torch.testing.assert_close(step, expected[: VIEWS * columns], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(
        reduced.points(step).flatten(), expected[VIEWS * columns :], rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("pairs", [None, random_pairs()], ids=["free", "prior"])
def test_covariances_equal_blocks_of_the_dense_inverse(pairs):
    rows = random_rows(6)
    jacobian, _ = dense_jacobian(rows, pairs)
    inverse = torch.linalg.inv(jacobian.mT @ jacobian)
    reduced = eliminate(normal_equations(rows, pairs), damping=0.0)
    cameras = torch.linalg.inv(reduced.matrix)
    torch.testing.assert_close(cameras, inverse[: VIEWS * 6, : VIEWS * 6], rtol=1e-7, atol=1e-9)
    blocks = inverse[VIEWS * 6 :, VIEWS * 6 :].view(3, COUNT, 3, COUNT)
    expected = torch.stack([blocks[:, n, :, n] for n in range(COUNT)])
    torch.testing.assert_close(reduced.point_covariance(cameras), expected, rtol=1e-7, atol=1e-9)


def test_closed_form_cholesky_equals_torch():
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(COUNT, 3, 3, generator=generator, dtype=torch.float64)
    matrix = half @ half.mT
    packed = torch.stack([matrix[:, i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))])
    lower = torch.linalg.cholesky(matrix)
    vectors = torch.randn(3, COUNT, generator=generator, dtype=torch.float64)
    factor = Cholesky3.of(packed, damping=0.0)
    ours, ours_transposed = factor.solve(vectors), factor.solve_transposed(vectors)
    torch.testing.assert_close(ours.mT[..., None], torch.linalg.solve(lower, vectors.mT[..., None]))
    torch.testing.assert_close(
        ours_transposed.mT[..., None], torch.linalg.solve(lower.mT, vectors.mT[..., None])
    )


def test_a_point_that_nothing_holds_does_not_divide_by_zero():
    packed = torch.tensor([[1.0, 0.0], [0, 0], [0, 0], [1, 0], [0, 0], [1, 0]], dtype=torch.float64)
    factor = Cholesky3.of(packed, damping=1e-4)
    assert factor.solve(torch.zeros(3, 2, dtype=torch.float64)).isfinite().all()
