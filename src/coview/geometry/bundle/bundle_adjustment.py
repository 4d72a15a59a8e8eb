"""Bundle adjustment: cameras and points of least reprojection error.

Levenberg-Marquardt on the reprojection error, the points eliminated by a Schur complement [Triggs00].
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.geometry.bundle.checks import check_connected, check_input
from coview.geometry.bundle.cluster_covariance import Clusters, cluster_scatter
from coview.geometry.bundle.distance_prior import DistancePrior, linearise_prior
from coview.geometry.bundle.levenberg_marquardt import Minimum
from coview.geometry.bundle.point_problem import Iterate, Problem, descend, gauge_basis
from coview.geometry.bundle.residuals import (
    BundleScene,
    Clock,
    Distortion,
    Focal,
    Observations,
    RobustLoss,
    Unknowns,
)
from coview.geometry.bundle.schur import eliminate, normal_equations
from coview.geometry.rotations import skew

_SINGULAR = 1e-13  # smallest eigenvalue of the scaled matrix that is more than rounding


@dataclass(frozen=True)
class Clocks:
    """What estimating time offsets needs: how fast each pixel moves, and when it was seen."""

    # pixels per second; 0 where it is not known
    velocity: Float[Tensor, "views points 2"]
    # seconds from the middle of the recording
    moment: Float[Tensor, "points"]
    # whether a time offset may grow linearly with time
    drift: bool = False


@dataclass(frozen=True)
class Adjusted:
    """Cameras and points after bundle adjustment, with residuals and covariances.

    The covariances hold in the gauge of `adjust`: the first camera, and without a distance prior the length of the
    longest baseline from it, are exact. They are NaN where the observations do not determine the unknown."""

    # batch: views
    cameras: Cameras
    # metres, world; NaN where fewer than two views hold the point
    points: Float[Tensor, "points 3"]
    # square pixels: half the sum of squares, or the robust loss; with the prior's part
    cost: float
    # pixels: root mean square length of the residuals, averaged by squared weight
    rms: float
    # systems solved, rejected steps included
    iterations: int
    # False: stopped at the limit of iterations, still descending
    converged: bool
    # pixels: standard deviation of an observation with weight 1, per axis, from the residuals
    sigma: float
    # pixels; NaN unobserved, or behind the camera
    residuals: Float[Tensor, "views points"]
    # seconds later than was assumed, and seconds per second; 0: not fitted
    clock: Float[Tensor, "views 2"]
    # what was found besides poses and points
    unknowns: Unknowns
    # of every camera with every other
    covariance: Float[Tensor, "views parameters views parameters"]
    # m², cameras' uncertainty included
    point_covariance: Float[Tensor, "points 3 3"] | None

    @property
    def camera_covariance(self) -> Float[Tensor, "views 6 6"]:
        """Of the poses: rotation vector (left, rad), then translation (m); (views, 6, 6)."""
        return self.covariance[:, :6, :, :6].diagonal(dim1=0, dim2=2).permute(2, 0, 1)

    def covariance_of(self, name: str) -> Float[Tensor, "views views"]:
        """Covariance of one unknown over the cameras, (views, views); zeros where not fitted.

        Args:
            name: "focal" (as a share of it), "k1", "offset" (s) or "drift" (s/s)."""
        place = self.unknowns.place(name)
        if place is None:
            return self.covariance.new_zeros(len(self.cameras), len(self.cameras))
        return self.covariance[:, place, :, place]

    @property
    def focal_sigma(self) -> Float[Tensor, "views"]:
        """Standard deviations, as a share of the focal length, (views); 0 where not fitted."""
        return self.covariance_of("focal").diagonal().clamp(min=0).sqrt()

    @property
    def clock_sigma(self) -> Float[Tensor, "views 2"]:
        """Standard deviations of both parts of `clock`, (views, 2); 0 where not fitted."""
        parts = [self.covariance_of(name).diagonal().clamp(min=0).sqrt() for name in ("offset", "drift")]
        return torch.stack(parts, dim=-1)

    @property
    def centre_covariance(self) -> Float[Tensor, "views 3 3"]:
        """Covariance of the camera centres, m², world frame: dC = −Rᵀ (dt + t × ω)."""
        rotation, translation = self.cameras.rotation, self.cameras.translation
        rows = -rotation.mT @ torch.cat(
            [skew(translation), torch.eye(3).expand_as(rotation).to(rotation)], -1
        )
        return rows @ self.camera_covariance @ rows.mT


def adjust(
    cameras: Cameras,
    points: Float[Tensor, "points 3"],
    pixels: Float[Tensor, "views points 2"],
    weights: Float[Tensor, "views points"],
    *,
    huber: float | None = None,
    cauchy: float | None = None,
    fit_focal: Focal | bool = False,
    fit_distortion: Distortion = "given",
    clocks: Clocks | None = None,
    distance_prior: DistancePrior | None = None,
    pixel_sigma: float | None = None,
    iterations: int = 50,
    tolerance: float = 1e-2,
    covariance: bool = True,
    clusters: Clusters | None = None,
) -> Adjusted:
    """Poses and points (on request focal lengths, k1 and clocks) of least reprojection error. [Triggs00], [HZ04 §18.1]

    Gauge: the first camera keeps its pose, and the camera farthest from it its distance, unless `distance_prior` sets
    the scale. Stops when a step moves the cameras, and the points on average, by less than the share `tolerance` of
    their standard deviations. Solves in float64 on the device of the cameras; the answer has their type. No gradients
    flow through it.

    Args:
        cameras: start, of batch `views`; lens models included, any mix.
        points: start, metres, world frame, (points, 3).
        pixels: raw (distorted), (views, points, 2); may be NaN where the weight is 0.
        weights: multiply the residuals, (views, points); 0: not observed.
        huber: pixels of an observation with weight 1 beyond which the loss is linear [Huber81]; None: least squares.
        cauchy: as `huber`, for a loss that grows like a logarithm.
        fit_focal: scale fx and fy by one factor for "each" camera (True), or by one that is "shared" by all.
        fit_distortion: what is added to k1, in the same way.
        clocks: to find each camera's time offset, to first order in its pixels' velocity.
        distance_prior: distances between points, metres, that set the scale.
        pixel_sigma: pixels that one sigma of a prior is worth (1 if None), and the noise that scales the covariances
            (if None the scatter of the residuals [Huber81 §7.6]).
        iterations: systems to solve, at most.
        tolerance: share of the standard deviations below which a step is small.
        covariance: whether to compute the points' covariances.
        clusters: points whose errors may be correlated: the cameras' covariance is then the cluster-robust one; None:
            all errors are independent.

    Returns:
        The adjusted scene. Points seen by fewer than two views are ignored and come back as NaN.

    Raises:
        InputError: fewer than two views, a camera with fewer than 6 observations of such points, cameras that share no
            points with the others, a start that is not finite or whose centres coincide."""
    check_input(cameras, points, pixels, weights, iterations)
    used = (weights > 0).sum(dim=0) >= 2
    check_connected(cameras, weights, used)
    with torch.no_grad():
        focal: Focal = fit_focal if isinstance(fit_focal, str) else "each" if fit_focal else "given"
        clock: Clock = "given" if clocks is None else "drift" if clocks.drift else "offset"
        problem = Problem(
            _observations(pixels, weights, used, clocks),
            _loss(huber, cauchy),
            _usable_prior(distance_prior, used),
            Unknowns(focal, clock, fit_distortion),
            1.0 if pixel_sigma is None else pixel_sigma,
        )
        start = BundleScene(_typed(cameras, torch.float64), points[used].double().mT.contiguous())
        found = descend(problem, start, iterations, tolerance)
        kept = None if clusters is None else clusters.of(used)
        return _report(problem, found, used, pixel_sigma, covariance, kept, cameras.intrinsics.dtype)


# --- the problem -----------------------------------------------------------------------------------


def _observations(pixels: Tensor, weights: Tensor, used: Tensor, clocks: Clocks | None) -> Observations:
    weights = weights[:, used].double()

    def kept(values: Tensor) -> Tensor:
        each = values[:, used].double().transpose(1, 2)
        return torch.where(weights[:, None] > 0, each, 0.0).contiguous()

    if clocks is None:
        return Observations(kept(pixels), weights.contiguous())
    moment = clocks.moment[used].double()
    return Observations(kept(pixels), weights.contiguous(), kept(clocks.velocity), moment)


def _loss(huber: float | None, cauchy: float | None) -> RobustLoss:
    if huber is not None and cauchy is not None:
        raise InputError(f"adjust: huber={huber} and cauchy={cauchy} are two losses. Give one of them.")
    threshold = cauchy if huber is None else huber
    if threshold is not None and not threshold > 0:
        raise InputError(f"adjust: the robust threshold must be positive (pixels), got {threshold}.")
    return RobustLoss(threshold, redescending=cauchy is not None)


def _usable_prior(prior: DistancePrior | None, used: Bool[Tensor, "points"]) -> DistancePrior | None:
    """The prior of pairs of points that two or more views see; other pairs are dropped."""
    if prior is None:
        return None
    usable = used[prior.first] & used[prior.second]
    if not bool(usable.any()):
        raise InputError(
            f"adjust: none of the {len(usable)} pairs of the distance prior joins two points that are each "
            "seen by two cameras, so the scale is unknown. Use other points, or leave the prior out."
        )
    place = used.cumsum(0) - 1
    return DistancePrior(
        place[prior.first[usable]],
        place[prior.second[usable]],
        prior.metres[usable].double(),
        prior.sigma[usable].double(),
    )


# --- the answer ------------------------------------------------------------------------------------


def _report(
    problem: Problem,
    found: Minimum[Iterate],
    used: Bool[Tensor, "points"],
    pixel_sigma: float | None,
    covariance: bool,
    clusters: Clusters | None,
    dtype: torch.dtype,
) -> Adjusted:
    place, weights = found.estimate, problem.seen.weights
    observed = (weights > 0) & (place.rows.in_front > 0)
    length = place.rows.residuals.square().sum(dim=1).sqrt()
    squared = torch.where(observed, weights.square(), 0.0)
    sigma, flatter = _residual_sigma(problem, observed, length)
    covariances = _covariances(
        problem, place, sigma if pixel_sigma is None else pixel_sigma, covariance, clusters, flatter
    )
    behind = (observed.sum(dim=0) < 2)[:, None]  # went behind their cameras
    points = torch.where(behind, torch.nan, place.scene.points.mT)
    blocks = (
        None if covariances.points is None else torch.where(behind[..., None], torch.nan, covariances.points)
    )
    return Adjusted(
        cameras=_typed(place.scene.cameras, dtype),
        points=_with_unused(points.to(dtype), used, dim=0),
        cost=place.cost,
        rms=float(((squared * length.square()).sum() / squared.sum()).sqrt()),
        iterations=found.iterations,
        converged=found.converged,
        sigma=sigma,
        residuals=_with_unused(torch.where(observed, length, torch.nan).to(dtype), used, dim=1),
        clock=_clock(place.scene).to(dtype),
        unknowns=problem.unknowns,
        covariance=covariances.cameras.to(dtype),
        point_covariance=None if blocks is None else _with_unused(blocks.to(dtype), used, dim=0),
    )


def _clock(scene: BundleScene) -> Float[Tensor, "views 2"]:
    return scene.points.new_zeros(len(scene.cameras), 2) if scene.clock is None else scene.clock


def _residual_sigma(problem: Problem, observed: Tensor, length: Tensor) -> tuple[float, float]:
    """Standard deviation (pixels, per axis) of an observation with weight 1, from the residuals; and by how much
    the normal equations are steeper than the loss is on average.

    For a robust loss Huber's asymptotic formula [Huber81 §7.6] relative to the weights in the normal
    equations: scatter of the *bounded* residuals over the mean curvature of the loss, both at
    residuals as large as they would be had the fit not swallowed a part of them.
    NaN where there are no more observations than unknowns."""
    if problem.freedom < 1:
        return math.nan, 1.0
    coordinates = 2 * int((problem.seen.weights > 0).sum())
    fitted = (problem.seen.weights * length)[observed]
    whole = fitted * math.sqrt(coordinates / problem.freedom)
    bounded = problem.loss.weight(whole) * whole
    curvature = problem.loss.curvature(whole)
    slope = curvature.mean()
    small_sample = 1 + (1 - problem.freedom / coordinates) * curvature.var(correction=0) / slope.square()
    factor = problem.loss.weight(fitted).mean()
    sigma = float(small_sample * (factor * bounded.square().mean() / 2).sqrt() / slope)
    return sigma, float(small_sample * factor / slope)


@dataclass(frozen=True)
class _Covariances:
    cameras: Float[Tensor, "views parameters views parameters"]
    points: Float[Tensor, "points 3 3"] | None


def _covariances(
    problem: Problem,
    place: Iterate,
    sigma: float,
    with_points: bool,
    clusters: Clusters | None,
    flatter: float,
) -> _Covariances:
    """Covariances: the inverse of the normal equations within the gauge, times sigma², or with clusters the "sandwich"
    of it and their scores."""
    views, columns = place.rows.camera_rows.shape[:2]
    pairs = None
    if problem.prior is not None and math.isfinite(sigma):
        pairs = linearise_prior(problem.prior, place.scene.points, sigma)
    reduced = eliminate(normal_equations(place.rows, pairs), damping=0.0)
    basis = gauge_basis(place.scene.cameras, problem.unknowns, fix_scale=problem.prior is None)
    inner = basis.mT @ reduced.matrix @ basis
    scale = inner.diagonal().clamp(min=1e-300).rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * inner * scale)
    if float(values[0]) < _SINGULAR:
        values = torch.full_like(values, torch.nan)
    half = basis @ (scale[:, None] * vectors / values.sqrt())
    cameras = sigma**2 * half @ half.mT
    if clusters is not None and bool(half.isfinite().all()):
        cameras = flatter**2 * half @ cluster_scatter(place.rows, reduced, half, clusters) @ half.mT
    points = sigma**2 * reduced.point_covariance(cameras / sigma**2) if with_points else None
    return _Covariances(cameras.view(views, columns, views, columns), points)


def _typed(cameras: Cameras, dtype: torch.dtype) -> Cameras:
    """Another floating type, field by field: `Cameras.to` passes through a fisheye flag that is a float,
    which the shape checks of the tests refuse."""
    return Cameras(
        cameras.intrinsics.to(dtype),
        cameras.cam_from_world.to(dtype),
        cameras.size.to(dtype),
        cameras.distortion.to(dtype),
        cameras.fisheye,
    )


def _with_unused(values: Tensor, used: Tensor, dim: int) -> Tensor:
    """Back among the points that were ignored: NaN for those."""
    shape = list(values.shape)
    shape[dim] = len(used)
    full = values.new_full(shape, torch.nan)
    return full.index_copy(dim, used.nonzero()[:, 0], values)
