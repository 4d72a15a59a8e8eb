"""Bundle adjustment as a least squares problem: its cost, its steps, and the gauge they stay in."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.bundle.distance_prior import DistancePrior, PairRows, linearise_prior
from coview.geometry.bundle.levenberg_marquardt import Minimum, Nielsen, levenberg_marquardt
from coview.geometry.bundle.residuals import (
    POSES,
    BundleScene,
    Linearised,
    Observations,
    RobustLoss,
    Unknowns,
    linearise,
)
from coview.geometry.bundle.schur import NormalEquations, eliminate, normal_equations
from coview.geometry.rotations import rotation_from_axis_angle

_EXACT = 1e-9  # pixels: an RMS below this is rounding


@dataclass(frozen=True)
class Iterate:
    """A scene and its linearisation."""

    scene: BundleScene
    rows: Linearised
    pairs: PairRows | None
    cost: float


@dataclass(frozen=True)
class _Step:
    """Of the cameras and of the points."""

    cameras: Float[Tensor, "views parameters"]
    points: Float[Tensor, "3 points"]
    gain: float  # the decrease of the cost that the linear model promises
    camera_gain: float  # the part of it that would be lost without moving the cameras


@dataclass(frozen=True)
class Problem:
    """What is seen, what is unknown, and what a miss costs: `LeastSquares` for `levenberg_marquardt`."""

    seen: Observations
    loss: RobustLoss
    prior: DistancePrior | None
    unknowns: Unknowns
    prior_pixels: float

    @property
    def freedom(self) -> int:
        """How many observed coordinates there are beyond the number of unknowns."""
        views, points = self.seen.weights.shape
        unknowns = views * (6 + len(self.unknowns.columns)) - 7 - self._tied(views) + 3 * points
        return 2 * int((self.seen.weights > 0).sum()) - unknowns

    def _tied(self, views: int) -> int:
        """Unknowns that are no unknowns: the first clock is everybody's, a shared focal length one and the same."""
        modes = list(self.unknowns.intrinsics_modes.values())
        return len(self.unknowns.columns) - modes.count("each") + (views - 2) * modes.count("shared")

    def at(self, scene: BundleScene) -> Iterate:
        rows = linearise(scene, self.seen, self.loss, self.unknowns)
        if self.prior is None:
            return Iterate(scene, rows, None, rows.cost)
        pairs = linearise_prior(self.prior, scene.points, self.prior_pixels)
        return Iterate(scene, rows, pairs, rows.cost + pairs.cost)

    @property
    def exact(self) -> float:
        """The cost of residuals that are rounding."""
        return 0.5 * _EXACT**2 * float(self.seen.weights.square().sum())

    def linearise(self, at: Iterate) -> NormalEquations:
        """The normal equations."""
        return normal_equations(at.rows, at.pairs)

    def step(self, equations: NormalEquations, at: Iterate, damping: float) -> "_Step | None":
        """The damped Gauss-Newton step within the gauge; None if the matrix is not positive definite."""
        return _step(equations, at.scene, damping, self.unknowns, fix_scale=self.prior is None)

    def moved(self, at: Iterate, step: "_Step") -> Iterate:
        """The scene after a step, linearised."""
        return self.at(_moved(at.scene, step, self.unknowns))

    def is_small(self, step: "_Step", reached: Iterate, tolerance: float) -> bool:
        """Whether it moves the cameras, and the points on average, by less than the share `tolerance`
        of their standard deviations: half a square pixel of noise is what one deviation gains."""
        variance = 2 * reached.cost / max(1, self.freedom)
        limit = 0.5 * tolerance**2 * variance
        return step.camera_gain <= limit and step.gain <= limit * step.points.shape[1]


# --- gauge -----------------------------------------------------------------------------------------


def _farthest(cameras: Cameras) -> tuple[int, Float[Tensor, "3"]]:
    """The camera farthest from the first, and the vector to it."""
    baselines = cameras.centres - cameras.centres[0]
    index = int(baselines.norm(dim=-1).argmax())
    return index, baselines[index]


def gauge_basis(cameras: Cameras, unknowns: Unknowns, fix_scale: bool) -> Float[Tensor, "unknowns free"]:
    """An orthonormal basis of the camera steps that leave the gauge alone, and tied unknowns tied."""
    columns = 6 + len(unknowns.columns)
    rows = cameras.intrinsics.new_zeros(7 if fix_scale else 6, len(cameras) * columns)
    rows[:6, :6] = torch.eye(6)
    if fix_scale:
        index, baseline = _farthest(cameras)
        along = cameras.rotation[index] @ (baseline / baseline.norm())  # in the camera's frame
        first = index * columns
        rows[6, first : first + 3] = torch.linalg.cross(along, cameras.translation[index])
        rows[6, first + 3 : first + 6] = along
    rows = torch.cat([rows, _ties(len(cameras), unknowns).to(rows)])
    return torch.linalg.qr(rows.mT, mode="complete").Q[:, len(rows) :]


def _ties(views: int, unknowns: Unknowns) -> Float[Tensor, "ties unknowns"]:
    """Linear constraints on a step: the first camera's clock stays, and shared intrinsics stay equal."""
    columns, rows = 6 + len(unknowns.columns), []
    for name in ("offset", "drift"):
        if (place := unknowns.place(name)) is not None:
            rows.append(torch.eye(views * columns)[place])
    for name, choice in unknowns.intrinsics_modes.items():
        if choice == "shared" and (place := unknowns.place(name)) is not None:
            own = torch.eye(views * columns)[place::columns]
            rows += list(own[:1] - own[1:])
    return torch.stack(rows) if rows else torch.zeros(0, views * columns)


def _scaled(scene: BundleScene, factor: Tensor) -> BundleScene:
    """Everything scaled about the first camera's centre: no pixel moves."""
    origin = scene.cameras.centres[0]
    points = origin[:, None] + factor * (scene.points - origin[:, None])
    centres = origin + factor * (scene.cameras.centres - origin)
    translation = -(scene.cameras.rotation @ centres[..., None])[..., 0]
    pose = torch.cat([scene.cameras.rotation, translation[..., None]], dim=-1)
    pose[0] = scene.cameras.cam_from_world[0]  # exactly, not to rounding
    return replace(scene, cameras=replace(scene.cameras, cam_from_world=pose), points=points)


def _keep_baseline(scene: BundleScene, start: Cameras) -> BundleScene:
    """The steps kept the longest baseline to first order; this keeps it."""
    index, baseline = _farthest(start)
    now = scene.cameras.centres[index] - scene.cameras.centres[0]
    return _scaled(scene, baseline.norm() / now.norm())


def _scaled_to_prior(scene: BundleScene, prior: DistancePrior) -> BundleScene:
    """The scale that fits the prior best: any scale fits the pixels."""
    lengths, precision = prior.lengths(scene.points), prior.sigma**-2
    factor = (precision * lengths * prior.metres).sum() / (precision * lengths.square()).sum()
    return _scaled(scene, factor)


# --- descent ---------------------------------------------------------------------------------------


def descend(problem: Problem, start: BundleScene, iterations: int, tolerance: float) -> Minimum[Iterate]:
    """From `start` (by a prior first brought to its scale) to where the cost no longer falls.

    The answer stands in the gauge of the start: first camera and, without a prior, longest baseline."""
    if problem.prior is not None:
        start = _scaled_to_prior(start, problem.prior)
    found = levenberg_marquardt(
        problem, problem.at(start), damping=Nielsen(), iterations=iterations, tolerance=tolerance
    )
    if problem.prior is not None:
        return found
    return replace(found, estimate=problem.at(_keep_baseline(found.estimate.scene, start.cameras)))


def _step(
    equations: NormalEquations, scene: BundleScene, damping: float, unknowns: Unknowns, fix_scale: bool
) -> _Step | None:
    views, columns, _ = equations.camera_blocks.shape
    reduced = eliminate(equations, damping)
    basis = gauge_basis(scene.cameras, unknowns, fix_scale)
    factor, failed = torch.linalg.cholesky_ex(basis.mT @ reduced.matrix @ basis)
    if bool(failed):
        return None
    step = basis @ torch.cholesky_solve((basis.mT @ reduced.rhs)[:, None], factor)[:, 0]
    points = reduced.points(step)
    along = step @ equations.camera_rhs + (points * equations.point_rhs).sum()
    hessian_diagonal = equations.camera_blocks.diagonal(dim1=1, dim2=2).flatten() @ step.square()
    hessian_diagonal = hessian_diagonal + (equations.point_blocks[[0, 3, 5]] * points.square()).sum()
    return _Step(
        step.view(views, columns),
        points,
        gain=0.5 * float(along + damping * hessian_diagonal),
        camera_gain=0.5 * float(step @ reduced.rhs),
    )


def _moved(scene: BundleScene, step: _Step, unknowns: Unknowns = POSES) -> BundleScene:
    cameras = scene.cameras
    rotation = rotation_from_axis_angle(step.cameras[:, :3]) @ cameras.rotation
    translation = cameras.translation + step.cameras[:, 3:6]
    intrinsics = cameras.intrinsics
    if (place := unknowns.place("focal")) is not None:
        intrinsics = intrinsics.clone()
        intrinsics[:, :2, :2] *= step.cameras[:, place, None, None].exp()
    distortion = cameras.distortion
    if (place := unknowns.place("k1")) is not None:
        distortion = distortion.clone()
        distortion[:, 0] += step.cameras[:, place]
    clock = scene.clock
    if (place := unknowns.place("offset")) is not None:
        later = step.cameras[:, place : place + 2]
        clock = (clock if clock is not None else later.new_zeros(len(later), 2)).clone()
        clock[:, : later.shape[1]] += later
    pose = torch.cat([rotation, translation[..., None]], dim=-1)
    moved = replace(cameras, intrinsics=intrinsics, cam_from_world=pose, distortion=distortion)
    return BundleScene(moved, scene.points + step.points, clock)
