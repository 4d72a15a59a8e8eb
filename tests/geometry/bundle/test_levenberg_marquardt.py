"""The loop on textbook problems, whose minima are known."""

from dataclasses import dataclass

import pytest
import torch

from coview.geometry.bundle.levenberg_marquardt import Damping, Minimum, Nielsen, Tenfold, levenberg_marquardt


@dataclass(frozen=True)
class At:
    x: torch.Tensor
    cost: float


@dataclass(frozen=True)
class Move:
    x: torch.Tensor
    gain: float


@dataclass(frozen=True)
class Problem:
    """Half the squares of a vector of residuals, derivatives by autograd."""

    residuals: object
    exact: float = 0.0
    near: float = 0.0  # a step whose gain is below this is small
    unsolvable_below: float = 0.0  # damping

    def at(self, x: torch.Tensor) -> At:
        return At(x, 0.5 * float(self.residuals(x).square().sum()))

    def linearise(self, at: At) -> tuple[torch.Tensor, torch.Tensor]:
        jacobian = torch.autograd.functional.jacobian(self.residuals, at.x)
        return jacobian.mT @ jacobian, -jacobian.mT @ self.residuals(at.x)

    def step(self, equations: tuple[torch.Tensor, torch.Tensor], at: At, damping: float) -> Move | None:
        matrix, gradient = equations
        if damping < self.unsolvable_below:
            return None
        step = torch.linalg.solve(matrix + damping * torch.diag(matrix.diagonal()), gradient)
        return Move(step, 0.5 * float(step @ gradient + damping * (matrix.diagonal() * step.square()).sum()))

    def moved(self, at: At, step: Move) -> At:
        return self.at(at.x + step.x)

    def is_small(self, step: Move, reached: At, tolerance: float) -> bool:
        return step.gain <= self.near * tolerance


def rosenbrock(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def with_a_rest(x: torch.Tensor) -> torch.Tensor:
    """Rosenbrock's valley whose floor is not zero."""
    return torch.cat([rosenbrock(x), torch.ones(1, dtype=x.dtype) + 0 * x[:1]])


def solved(problem: Problem, damping: Damping, iterations: int = 200, start: tuple[float, float] = (-1.2, 1)):
    begin = problem.at(torch.tensor(start, dtype=torch.float64))
    return levenberg_marquardt(problem, begin, damping=damping, iterations=iterations, tolerance=1.0)


@pytest.mark.parametrize("damping", [Nielsen(), Tenfold()])
@pytest.mark.parametrize("residuals", [rosenbrock, with_a_rest])
def test_the_end_of_a_curved_valley_is_found(damping, residuals):
    found = solved(Problem(residuals, exact=1e-20), damping)
    assert found.converged
    assert found.iterations < 100
    torch.testing.assert_close(found.estimate.x, torch.ones(2, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("damping", [Nielsen(), Tenfold()])
def test_the_cost_never_rises_and_the_limit_holds(damping):
    costs = []
    for limit in range(1, 20):
        found = solved(Problem(rosenbrock), damping, iterations=limit)
        assert found.iterations <= limit
        costs.append(found.estimate.cost)
    assert costs == sorted(costs, reverse=True)
    assert not solved(Problem(rosenbrock), damping, iterations=3).converged


def test_a_small_step_ends_the_loop_only_with_little_damping():
    problem = Problem(rosenbrock, near=torch.inf)
    assert solved(problem, Nielsen(1e-4)).iterations < solved(problem, Nielsen(10.0)).iterations


def test_a_start_that_is_exact_is_where_it_ends():
    found = solved(Problem(rosenbrock, exact=1e-20), Nielsen(), start=(1, 1))
    assert found.converged
    assert found.estimate.cost == 0


def test_where_no_system_can_be_solved_it_gives_up():
    found = solved(Problem(rosenbrock, unsolvable_below=torch.inf), Tenfold())
    assert isinstance(found, Minimum)
    assert not found.converged
    assert found.iterations == 18  # 1e-4 to beyond 1e12, ten times each
    assert found.estimate.x.tolist() == [-1.2, 1]


def test_an_unsolvable_system_is_damped_until_it_can_be_solved():
    found = solved(Problem(rosenbrock, exact=1e-20, unsolvable_below=1e-2), Nielsen())
    assert found.estimate.cost < 1e-3


def test_damping_rules():
    assert Nielsen(1.0).after_success(1.0).value == pytest.approx(0.1)  # the model was right: at most a tenth
    assert Nielsen(1.0).after_success(0.5).value == 1.0
    assert Nielsen(1.0).after_success(0.0).value == 2.0
    failed = Nielsen(1.0).after_failure()
    assert (failed.value, failed.after_failure().value) == (2.0, 8.0)  # faster every time
    assert (Tenfold(1.0).after_success(0.1).value, Tenfold(1.0).after_failure().value) == (0.1, 10.0)
