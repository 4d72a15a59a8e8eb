"""Bundle adjustment of a rigid calibration board: intrinsics, poses, clocks, and a board pose per instant.

As in `adjustment`, with the board's poses (eliminated by a Schur complement [Triggs00]) in the place of
points. A board of known size brings the scale; the first camera is the world and its clock the time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.geometry.bundle.board_scene import (
    COLUMNS,
    BoardObservations,
    BoardScene,
    BoardUnknowns,
    columns,
    moved_boards,
)
from coview.geometry.bundle.board_schur import BoardEquations, eliminate_boards, normal_equations
from coview.geometry.bundle.levenberg_marquardt import Minimum, Tenfold, levenberg_marquardt
from coview.geometry.bundle.residuals import RobustLoss
from coview.geometry.rotations import skew

_POSE = slice(0, 6)
_STEPS = (*[1e-6] * 8, 1e-3, 1e-3, *[1e-6] * 5, 1e-5)  # of the central differences
_PROBE = 0.1  # of a step: where its second derivative is measured
_EXACT = 1e-9  # pixels: an RMS below this is rounding
_SINGULAR = 1e-13  # smallest eigenvalue of the scaled matrix that is more than rounding


@dataclass(frozen=True)
class BoardsAdjusted:
    """Cameras and board poses after bundle adjustment, with residuals and covariances."""

    scene: BoardScene
    residuals: Float[Tensor, "sightings corners"]  # pixels; NaN where not seen, or behind the camera
    sigma: float  # pixels: standard deviation of a corner's coordinate with weight 1
    converged: bool
    iterations: int
    covariance: Float[Tensor, "views 16 16"]  # of each camera's columns; 0 where held fixed

    @property
    def column_sigma(self) -> Float[Tensor, "views 16"]:
        """Standard deviations; focal and aspect relative, cx and cy in pixels, the clock in seconds."""
        return self.covariance.diagonal(dim1=1, dim2=2).sqrt()

    @property
    def centre_covariance(self) -> Float[Tensor, "views 3 3"]:
        """Covariance of the camera centres, m², world frame: dC = −Rᵀ (dt + t × ω)."""
        cameras = self.scene.cameras
        identity = torch.eye(3).expand_as(cameras.rotation).to(cameras.rotation)
        rows = -cameras.rotation.mT @ torch.cat([skew(cameras.translation), identity], -1)
        return rows @ self.covariance[:, _POSE, _POSE] @ rows.mT


def adjust_boards(
    start: BoardScene,
    corners: Float[Tensor, "corners 3"],
    seen: BoardObservations,
    unknowns: BoardUnknowns,
    rates: Float[Tensor, "instants 6"],
    *,
    huber: float | None = None,
    pixel_sigma: float = 1.0,
    iterations: int = 60,
    tolerance: float = 0.05,
) -> BoardsAdjusted:
    """Cameras and board poses with the least reprojection error, and what is usual where that says nothing.

    `corners` in the board's frame, metres; `rates` as of `board_rates`: they make clocks visible. Columns
    that are not `free` stay (the first camera's pose and clock should). `huber`: pixels beyond which a
    corner counts linearly; `pixel_sigma`: pixels that one `spread` is worth. Stops when a step moves the
    cameras by less than the share `tolerance` of their standard deviations. Nothing here checks that the cameras are
    tied to each other: covariances are NaN if not. Float64; no gradients flow through it."""
    with torch.no_grad():
        problem = _Problem(corners, seen, RobustLoss(huber), unknowns, rates, pixel_sigma)
        found = levenberg_marquardt(
            problem, problem.at(start), damping=Tenfold(), iterations=iterations, tolerance=tolerance
        )
        return _report(problem, found)


# --- the problem -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Iterate:
    """A scene and what it costs."""

    scene: BoardScene
    cost: float  # square pixels


@dataclass(frozen=True)
class _Step:
    """Of the cameras and of the boards."""

    cameras: Float[Tensor, "views 16"]
    boards: Float[Tensor, "instants 6"]
    gain: float  # the decrease of the cost that the linear model promises


@dataclass(frozen=True)
class _Problem:
    """What is seen, what is unknown, and what a miss costs: `LeastSquares` for `levenberg_marquardt`."""

    corners: Float[Tensor, "corners 3"]
    seen: BoardObservations
    loss: RobustLoss
    unknowns: BoardUnknowns
    rates: Float[Tensor, "instants 6"]
    pixel_sigma: float

    @property
    def freedom(self) -> int:
        """How many observed coordinates there are beyond the number of unknowns without a spread."""
        bounded = self.unknowns.prior_sigma.isfinite()
        unknown = int((self.unknowns.free & ~bounded).sum()) + 6 * len(self.rates)
        return 2 * int((self.seen.weights > 0).sum()) - unknown

    def residuals(self, scene: BoardScene) -> Float[Tensor, "sightings corners 2"]:
        """Projected − observed, pixels; NaN for corners behind the camera."""
        view, instant = self.seen.view, self.seen.instant
        boards = moved_boards(scene.boards[instant], scene.clocks[view, None] * self.rates[instant])
        points = self.corners @ boards[..., :3].mT + boards[:, None, :, 3]
        return scene.cameras[view].project(points) - self.seen.pixels

    def prior_residuals(self, scene: BoardScene) -> Float[Tensor, "views 16"]:
        """How far the free columns are from what is usual, in pixels."""
        prior_residuals = (columns(scene) - self.unknowns.prior_mean) * self.prior_weights
        return torch.where(self.prior_weights > 0, prior_residuals, 0.0)

    @property
    def prior_weights(self) -> Float[Tensor, "views 16"]:
        """Derivative of `strays`."""
        return torch.where(self.unknowns.free, self.pixel_sigma / self.unknowns.prior_sigma, 0.0)

    def lengths(self, residuals: Float[Tensor, "sightings corners 2"], scene: BoardScene) -> Tensor:
        """Weighted residuals; one behind its camera costs as much as a residual of the image's diagonal."""
        diagonal = scene.cameras.size.norm(dim=-1)[self.seen.view, None]
        length = residuals.norm(dim=-1)
        length = torch.where(length.isfinite(), length, diagonal)
        return torch.where(self.seen.weights > 0, self.seen.weights * length, 0.0)

    def at(self, scene: BoardScene) -> _Iterate:
        """The scene with its cost."""
        lengths = self.lengths(self.residuals(scene), scene)
        return _Iterate(
            scene, float(self.loss.cost(lengths).sum() + 0.5 * self.prior_residuals(scene).square().sum())
        )

    @property
    def exact(self) -> float:
        """The cost of residuals that are rounding."""
        return 0.5 * _EXACT**2 * float(self.seen.weights.square().sum())

    def linearise(self, at: _Iterate) -> BoardEquations:
        """The normal equations."""
        return self.equations(at.scene)

    def step(self, equations: BoardEquations, at: _Iterate, damping: float) -> _Step:
        """The damped Gauss-Newton step, with its second-order correction."""
        free = self.unknowns.free
        step = _step(equations, free, damping)
        correction = _step(self.second_order(equations, at.scene, step), free, damping)
        return _Step(step.cameras + correction.cameras, step.boards + correction.boards, step.gain)

    def moved(self, at: _Iterate, step: _Step) -> _Iterate:
        """The scene after a step."""
        return self.at(at.scene.moved(step.cameras, step.boards))

    def is_small(self, step: _Step, reached: _Iterate, tolerance: float) -> bool:
        """Whether it moves the cameras by less than the share `tolerance` of their standard deviations."""
        return step.gain <= tolerance**2 * reached.cost / max(1, self.freedom)

    def equations(self, scene: BoardScene) -> BoardEquations:
        """The scene's normal equations; derivatives by central differences through the one lens model there is."""
        weighted, residual = self._weighted(scene)
        zeros = torch.zeros_like(self.unknowns.prior_mean)
        of_camera = []
        for column, size in enumerate(_STEPS):
            step = zeros.index_fill(1, torch.tensor(column), size)
            ends = self.residuals(scene.moved(step)) - self.residuals(scene.moved(-step))
            of_camera.append(weighted(ends / (2 * size)))
        rows = torch.stack(of_camera, -1), self._board_rows(scene, weighted)
        counts = len(zeros), len(self.rates)
        equations = normal_equations(self.seen.view, self.seen.instant, residual, rows, counts)
        return equations.with_prior(self.prior_weights.flatten(), self.prior_residuals(scene).flatten())

    def second_order(self, equations: BoardEquations, scene: BoardScene, step: _Step) -> BoardEquations:
        """The same system pulled by half the second derivative of the residuals along `step` [Transtrum12].

        A step moves everything along straight lines, but a longer lens wants its boards farther away by the
        same factor: without this correction the valley between the two is crawled down."""
        weighted, here = self._weighted(scene)
        ahead, behind = (
            weighted(self.residuals(scene.moved(sign * _PROBE * step.cameras, sign * _PROBE * step.boards)))
            for sign in (1, -1)
        )
        return equations.with_residuals(
            self.seen.view, self.seen.instant, 0.5 * (ahead - 2 * here + behind) / _PROBE**2
        )

    def _weighted(self, scene: BoardScene) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """What brings weight and robust factor to derivatives (sightings, corners, 2), flat; and the residual."""
        residuals = self.residuals(scene)
        in_front = residuals.isfinite().all(dim=-1) & (self.seen.weights > 0)
        factor = self.seen.weights * self.loss.weight(self.lengths(residuals, scene)).sqrt()

        def weighted(rows: Tensor) -> Tensor:
            return (torch.where(in_front[..., None], rows, 0.0) * factor[..., None]).flatten(1)

        return weighted, weighted(residuals)

    def _board_rows(self, scene: BoardScene, weighted: Callable[[Tensor], Tensor]) -> Tensor:
        rows = []
        for column, size in enumerate(_STEPS[:6]):
            step = torch.zeros_like(self.rates).index_fill(1, torch.tensor(column), size)
            ends = [replace(scene, boards=moved_boards(scene.boards, s)) for s in (step, -step)]
            rows.append(weighted((self.residuals(ends[0]) - self.residuals(ends[1])) / (2 * size)))
        return torch.stack(rows, -1)


def _step(equations: BoardEquations, free: Bool[Tensor, "views 16"], damping: float) -> _Step:
    which = free.flatten()
    system = eliminate_boards(equations, which, damping)
    scale = system.matrix.diagonal().clamp(min=1e-300).rsqrt()
    right = (scale * system.rhs)[:, None]
    solved = torch.linalg.lstsq(scale[:, None] * system.matrix * scale, right, driver="gelsd").solution
    cameras = equations.camera_rhs.new_zeros(len(which))
    cameras[which] = scale * solved[:, 0]
    back = equations.board_rhs - torch.einsum("iab,a->ib", equations.mixed, cameras)
    boards = (system.board_inverse @ back[..., None])[..., 0]
    gain = 0.5 * float(cameras @ equations.camera_rhs + (boards * equations.board_rhs).sum())
    return _Step(cameras.view(free.shape), boards, gain)


# --- the answer ------------------------------------------------------------------------------------


def _report(problem: _Problem, found: Minimum[_Iterate]) -> BoardsAdjusted:
    scene = found.estimate.scene
    lengths = problem.residuals(scene).norm(dim=-1)
    seen = (problem.seen.weights > 0) & lengths.isfinite()
    sigma = _residual_sigma(problem, (problem.seen.weights * lengths)[seen])
    free = problem.unknowns.free.flatten()
    matrix = eliminate_boards(problem.equations(scene), free, damping=0.0).matrix
    covariance = matrix.new_zeros(len(free), len(free))
    places = free.nonzero()[:, 0]
    covariance[places[:, None], places] = sigma**2 * _inverse(matrix)
    views = len(scene.cameras)
    blocks = covariance.view(views, COLUMNS, views, COLUMNS).diagonal(dim1=0, dim2=2).movedim(-1, 0)
    residuals = torch.where(seen, lengths, torch.nan)
    return BoardsAdjusted(scene, residuals, sigma, found.converged, found.iterations, blocks)


def _inverse(matrix: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """NaN throughout where the matrix is singular to rounding."""
    scale = matrix.diagonal().clamp(min=1e-300).rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * matrix * scale)
    if len(values) and float(values[0]) < _SINGULAR:
        return torch.full_like(matrix, torch.nan)
    half = scale[:, None] * vectors / values.sqrt()
    return half @ half.mT


def _residual_sigma(problem: _Problem, lengths: Float[Tensor, "seen"]) -> float:
    """Standard deviation per coordinate from weighted residuals, by Huber's formula [Huber81 §7.6] relative
    to the weights in the normal equations; NaN where no observation is left over to judge by."""
    if problem.freedom < 1:
        return float("nan")
    whole = lengths * (2 * len(lengths) / problem.freedom) ** 0.5
    bounded = problem.loss.weight(whole) * whole
    slope = problem.loss.curvature(whole).mean()
    return float((problem.loss.weight(lengths).mean() * bounded.square().mean() / 2).sqrt() / slope)
