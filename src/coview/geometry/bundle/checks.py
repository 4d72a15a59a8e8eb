"""What bundle adjustment refuses, and how it says so."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError

MIN_OBSERVATIONS = 6  # per camera: six unknowns, and a little to spare against degenerate points


def check_input(cameras: Cameras, points: Tensor, pixels: Tensor, weights: Tensor, iterations: int) -> None:
    """Sizes that belong together and numbers that are numbers; ValueError otherwise."""
    if len(cameras) < 2:
        raise InputError(f"adjust needs 2 or more views, got {len(cameras)}: one view has no depth.")
    expected = (len(cameras), len(points))
    if pixels.shape[:2] != expected or weights.shape != expected:
        raise InputError(
            f"adjust: {expected[0]} cameras and {expected[1]} points need pixels and weights of "
            f"{expected} observations, got {tuple(pixels.shape[:2])} and {tuple(weights.shape)}."
        )
    if iterations < 1:
        raise InputError(f"adjust: iterations must be at least 1, got {iterations}.")
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        view, point = _first(~(weights.isfinite() & (weights >= 0)))
        raise InputError(
            f"adjust: the weight of camera {view}, point {point} is {float(weights[view, point])}; "
            "weights are finite and not negative. Use 0 for what was not observed."
        )
    _check_finite(cameras, points, pixels, weights)


def _check_finite(cameras: Cameras, points: Tensor, pixels: Tensor, weights: Tensor) -> None:
    lost = (weights > 0) & ~pixels.isfinite().all(dim=-1)
    if bool(lost.any()):
        view, point = _first(lost)
        raise InputError(
            f"adjust: {int(lost.sum())} pixels are not finite although their weight is positive; the first "
            f"is camera {view}, point {point}. Give weight 0 to what was not observed."
        )
    fields = (cameras.cam_from_world, cameras.intrinsics, cameras.distortion)
    bad = ~torch.stack([field.isfinite().flatten(1).all(dim=1) for field in fields]).all(dim=0)
    if bool(bad.any()):
        raise InputError(
            f"adjust: the start of camera {int(bad.nonzero()[0])} is not finite. Adjustment "
            "improves a start and cannot invent one: estimate this camera's pose first, or leave it out."
        )
    unplaced = ((weights > 0).sum(dim=0) >= 2) & ~points.isfinite().all(dim=-1)
    if bool(unplaced.any()):
        raise InputError(
            f"adjust: {int(unplaced.sum())} points seen by two or more cameras have no finite start; "
            f"the first is point {int(unplaced.nonzero()[0])}. Triangulate them first, or give them weight 0."
        )


def check_connected(
    cameras: Cameras, weights: Float[Tensor, "views points"], used: Bool[Tensor, "points"]
) -> None:
    """Every camera seen enough by, and tied to, the others; ValueError names those that are not."""
    seen = (weights > 0) & used
    for view, count in enumerate(seen.sum(dim=1).tolist()):
        if count < MIN_OBSERVATIONS:
            raise InputError(
                f"adjust: camera {view} has {count} observations of points that another camera sees too, "
                f"and needs at least {MIN_OBSERVATIONS} for its pose. Leave the camera out, or add instants."
            )
    shared = (seen.double() @ seen.double().mT > 0).double()
    apart = torch.linalg.matrix_power(shared, len(seen))[0] == 0
    if bool(apart.any()):
        raise InputError(
            f"adjust: cameras {apart.nonzero().flatten().tolist()} share no points with camera 0, not even "
            "through others, so nothing says where they stand. Adjust the groups apart, or add instants "
            "that join them."
        )
    centres = cameras.centres
    if bool((centres - centres[0]).norm(dim=-1).max() <= 1e-9 * (1 + centres.norm(dim=-1).max())):
        raise InputError(
            "adjust: all cameras start at one place. Without a baseline there is no depth and no "
            "distance for the gauge to keep: start from estimated poses."
        )


def _first(mask: Tensor) -> tuple[int, int]:
    view, point = mask.nonzero()[0].tolist()
    return view, point
