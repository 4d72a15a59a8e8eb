"""Levenberg-Marquardt for nonlinear least squares: damped Gauss-Newton steps, taken only where the cost falls.

The loop knows nothing of what it solves: bundle adjustment of points and of boards pass their problem in. A
problem says what its cost, its normal equations and its steps are; a damping rule says how the damping changes
after a step that lowered the cost, and after one that did not.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

_LIGHT = 1e-3  # damping below which a short step means that the minimum is near
_STUCK = 1e12  # damping beyond which no step is left to try
_ROUNDING = 1e-14  # relative change of the cost that means nothing


@runtime_checkable
class Estimate(Protocol):
    """Values of the unknowns."""

    @property
    def cost(self) -> float:
        """What is minimised, at these values."""


@runtime_checkable
class Step(Protocol):
    """A change of the unknowns."""

    @property
    def gain(self) -> float:
        """The decrease of the cost that the linear model promises."""


@runtime_checkable
class Damping(Protocol):
    """How much the diagonal of the normal equations is raised, as a share of itself, and how that changes."""

    @property
    def value(self) -> float:
        """The share."""

    def after_success(self, ratio: float) -> "Damping":
        """After a step that lowered the cost; `ratio`: the decrease over the promised one."""

    def after_failure(self) -> "Damping":
        """After a step that did not."""


EstimateT = TypeVar("EstimateT", bound=Estimate)
EquationsT = TypeVar("EquationsT")
StepT = TypeVar("StepT", bound=Step)


@runtime_checkable
class LeastSquares(Protocol[EstimateT, EquationsT, StepT]):
    """A least squares problem, as the loop needs to know it."""

    @property
    def exact(self) -> float:
        """A cost below which the residuals are rounding."""

    def linearise(self, at: EstimateT) -> EquationsT:
        """The normal equations at an estimate."""

    def step(self, equations: EquationsT, at: EstimateT, damping: float) -> StepT | None:
        """The damped Gauss-Newton step; None where the damped matrix is not positive definite."""

    def moved(self, at: EstimateT, step: StepT) -> EstimateT:
        """The estimate after a step, with its cost."""

    def is_small(self, step: StepT, reached: EstimateT, tolerance: float) -> bool:
        """Whether `step` moved by less than the share `tolerance` of what the data determine anyway."""


@dataclass(frozen=True)
class Nielsen:
    """The rule of [Nielsen99], lowered faster while the model predicts well."""

    value: float = 1e-4
    growth: float = 2.0

    def after_success(self, ratio: float) -> "Nielsen":
        return Nielsen(self.value * max(0.1, 1 - (2 * ratio - 1) ** 3))

    def after_failure(self) -> "Nielsen":
        return Nielsen(self.value * self.growth, 2 * self.growth)


@dataclass(frozen=True)
class Tenfold:
    """A tenth after a step that helped, ten times after one that did not [Marquardt63].

    For steps with a second-order correction [Transtrum12], whose decrease the linear model does not predict: the
    ratio that other rules go by says little of them."""

    value: float = 1e-4

    def after_success(self, ratio: float) -> "Tenfold":
        return Tenfold(self.value / 10)

    def after_failure(self) -> "Tenfold":
        return Tenfold(self.value * 10)


@dataclass(frozen=True)
class Minimum(Generic[EstimateT]):
    """Where the loop ended."""

    estimate: EstimateT
    iterations: int  # systems solved, rejected steps included
    converged: bool  # False: stopped at the limit of iterations, or no step helped


def levenberg_marquardt(
    problem: LeastSquares[EstimateT, EquationsT, StepT],
    start: EstimateT,
    *,
    damping: Damping,
    iterations: int,
    tolerance: float,
) -> Minimum[EstimateT]:
    """A local minimum of a least squares cost, from a start near it. [Marquardt63], [Nielsen99]

    Args:
        problem: cost, normal equations and steps.
        start: where to begin.
        damping: the rule, and the damping of the first step.
        iterations: systems to solve, at most.
        tolerance: handed to `problem.is_small`, which with little damping ends the loop.

    Returns:
        The best estimate. It has converged where a step was small, the cost is exact, or neither it nor the promised
        decrease is more than rounding."""
    here, equations = start, problem.linearise(start)
    for count in range(1, iterations + 1):
        step = problem.step(equations, here, damping.value)
        there = None if step is None else problem.moved(here, step)
        if step is not None and there is not None and there.cost <= here.cost:
            drop = here.cost - there.cost
            near = damping.value < _LIGHT and problem.is_small(step, there, tolerance)
            if near or drop <= _ROUNDING * here.cost or there.cost <= problem.exact:
                return Minimum(there, count, True)
            damping = damping.after_success(drop / max(step.gain, 1e-300))
            here, equations = there, problem.linearise(there)
        elif here.cost <= problem.exact or (step is not None and step.gain <= _ROUNDING * here.cost):
            return Minimum(here, count, True)
        elif damping.value > _STUCK:
            return Minimum(here, count, False)
        else:
            damping = damping.after_failure()
    return Minimum(here, iterations, False)
