"""Calibration of a rig for pseudo-labels: its cameras, and the noise of its 2D joints."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.body.gravity import upright_from_body
from coview.body.metric_rig import POOR, PlacedRig, cameras_from_people, person_size
from coview.cameras import Cameras
from coview.data.pseudo_labels.chained_pairs import cameras_from_pairs
from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.pseudo_labels.rectified_views import in_reference, reference_cameras
from coview.errors import InputError
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.sampling import evenly, evenly_spaced
from coview.geometry.triangulation.inlier_threshold import automatic_threshold
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated
from coview.sample import MultiView
from coview.skeletons import Skeleton

# least outlier threshold, as a share of the person's size in the image: detectors have heavy tails
WRONG = 0.07
# instants that the noise of a rig is measured on
JUDGED = 2000
# instants from which those are chosen, at most: a rig may have millions
LOOKED_AT = 40_000


@dataclass(frozen=True)
class CalibratedRig:
    """A static rig of cameras, and the noise of its observations."""

    # one per view: reference intrinsics, no distortion, float64
    cameras: Cameras
    # outlier threshold, reference pixels
    threshold: float
    # standard deviation of a 2D joint of confidence 1, reference pixels
    sigma: Float[Tensor, "joints"]
    # unit vector in the world
    up: Float[Tensor, "3"]
    # plain values: how the cameras were found
    facts: dict[str, Any]


def find_rig(
    seen: MultiView, where: Int[Tensor, "members"], config: PseudoConfig, name: str
) -> CalibratedRig:
    """Cameras, outlier threshold and noise of a rig, from its instants.

    Args:
        seen: all instants.
        where: indices of the rig's instants.
        config: the settings.
        name: of the rig, for messages.

    Raises:
        NotDeterminedError: the instants do not determine the cameras.
        ValueError: given extrinsics are unknown, move, or hold no rotation."""
    among = where[evenly(len(where), LOOKED_AT)]
    reference = reference_cameras(seen.cameras[among])
    there = _seen_twice(seen, among, config.min_confidence)
    # a rig that rarely sees anyone
    if not bool(there.any()):
        among, there = where, _seen_twice(seen, where, config.min_confidence)
    if not bool(there.any()):
        raise NotDeterminedError(
            f"{name}: in none of its {len(where)} instants did two views see a joint with confidence "
            f"{config.min_confidence:g} or more, so there is nothing to triangulate. Lower `min_confidence`, or look "
            f"at the detections."
        )
    judged = among[evenly_spaced(there, JUDGED)]
    pixels, weights = observed(seen[judged], reference, config.min_confidence)
    size = person_size(pixels, weights)
    if not size > 0:
        raise NotDeterminedError(
            f"{name}: no view of {len(judged)} instants shows half of the joints with confidence "
            f"{config.min_confidence:g} or more, so how large the person is, and how far off a wrong joint, cannot be "
            f"told. Lower `min_confidence`."
        )
    placed = _placed(seen, judged, reference, pixels, weights, size, config, name)
    least = WRONG * size
    threshold = config.threshold or automatic_threshold(placed.cameras, pixels, weights, least)
    found = triangulate_robust(placed.cameras, pixels, weights, threshold=threshold)
    sigma, facts = _noise(found, weights)
    about = {"instants": len(where), "cameras": config.cameras, "threshold_px": threshold}
    up = _up(found.points, seen.skeleton, placed.cameras)
    return CalibratedRig(placed.cameras, threshold, sigma, up, {**about, **placed.facts, **facts})


def _seen_twice(seen: MultiView, where: Int[Tensor, "some"], min_confidence: float) -> Bool[Tensor, "some"]:
    """The instants in which two views or more detected a joint."""
    return (seen.confidence[where] >= max(min_confidence, 1e-12)).any(dim=-1).sum(dim=-1) >= 2


def observed(
    seen: MultiView, reference: Cameras, min_confidence: float
) -> tuple[Float[Tensor, "instants views joints 2"], Float[Tensor, "instants views joints"]]:
    """Pixels in the reference cameras, and weights; float64.

    Args:
        seen: instants.
        reference: pinhole camera of each view.
        min_confidence: joints of less confidence, and those without a finite pixel, have weight 0."""
    pixels = in_reference(seen.cameras, reference, seen.joints2d)
    there = (seen.confidence >= min_confidence) & pixels.isfinite().all(dim=-1)
    return pixels, torch.where(there, seen.confidence.double(), 0.0)


def _placed(
    seen: MultiView,
    judged: Tensor,
    reference: Cameras,
    pixels: Tensor,
    weights: Tensor,
    size: float,
    config: PseudoConfig,
    name: str,
) -> PlacedRig:
    if config.cameras == "given":
        return PlacedRig(_given(seen, judged, reference, name), {"scale": "given", "gravity": "given"})
    some = evenly(len(pixels), config.frames)
    names = tuple(f"{name}, view {view}" for view in range(len(reference)))
    limit = config.threshold or POOR * size
    find = cameras_from_people if config.cameras == "people" else cameras_from_pairs
    placed = find(
        reference, pixels[some], weights[some], seen.skeleton, names=names, threshold=limit, seed=config.seed
    )
    return replace(placed, facts={"frames": len(some), "calibration_threshold_px": limit, **placed.facts})


def _given(seen: MultiView, judged: Tensor, reference: Cameras, name: str) -> Cameras:
    """Extrinsics of the data; ValueError where they are unknown or not those of one static rig."""
    places = seen.cameras.cam_from_world[judged].double()
    if not bool(places.isfinite().all()):
        raise InputError(
            f"{name}: PseudoConfig(cameras='given') needs to know where the cameras stand, and the data do not say "
            f"(NaN). Use cameras='people', which finds them."
        )
    if float((places - places[0]).abs().max()) > 1e-4:
        raise InputError(
            f"{name}: its cameras move by up to {float((places - places[0]).abs().max()):.3g} (metres or parts of a "
            f"rotation matrix) between instants, and a rig is static. Give instants with other cameras another "
            f"number in `rig`."
        )
    rotations = places[0, :, :, :3]
    proper = ((rotations @ rotations.mT - torch.eye(3).double()).abs().amax(dim=(-2, -1)) < 1e-3) & (
        torch.linalg.det(rotations) > 0
    )
    if not bool(proper.all()):
        raise InputError(
            f"{name}, view {int(proper.int().argmin())}: its extrinsics hold no rotation (orthonormal, determinant "
            f"+1). A mirrored axis gives determinant -1: coview's cameras look along +z with x right and y down."
        )
    return replace(reference, cam_from_world=places[0])


def _up(points: Tensor, skeleton: Skeleton, cameras: Cameras) -> Float[Tensor, "3"]:
    """The vertical of a world of unknown orientation; z where the body does not determine it."""
    try:
        return upright_from_body(points, skeleton, cameras.rotation).up
    except ValueError:
        return torch.tensor([0.0, 0, 1], dtype=points.dtype)


def _noise(found: Triangulated, weights: Tensor) -> tuple[Float[Tensor, "joints"], dict[str, Any]]:
    """Standard deviation of each 2D joint from the reprojection residuals of inliers, and a summary.

    A point has 3 of the 2m degrees of freedom of m views, so Σ weight² residual² has the expectation (2m - 3) σ² [HZ04
    §5.1]. A joint with too few observations gets the deviation over all joints."""
    used = found.inliers & found.residuals.isfinite()
    squares = torch.where(used, (weights * torch.nan_to_num(found.residuals)).square(), 0.0).sum(dim=1)
    spare = (2 * used.sum(dim=1) - 3).clamp(min=0).double()
    squares = torch.where(spare > 0, squares, 0.0).sum(dim=0)
    every = float((squares.sum() / spare.sum().clamp(min=1)).sqrt())
    enough = spare.sum(dim=0) >= 30
    sigma = torch.where(enough, (squares / spare.sum(dim=0).clamp(min=1)).sqrt(), every)
    medians = [_median(found.residuals[:, view][used[:, view]]) for view in range(used.shape[1])]
    reconstructed = found.points.isfinite().all(dim=-1).double().mean()
    return sigma.clamp(min=1e-6), {"median_px": medians, "sigma_px": every, "known": float(reconstructed)}


def _median(values: Tensor) -> float:
    return float(values.median()) if values.numel() else float("nan")
