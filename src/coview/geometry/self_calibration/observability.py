"""Checks that a recording determines what was estimated; refusals name the camera and say what to record instead."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.iterative_refinement import RefinedRig, disagreement_message
from coview.geometry.self_calibration.model_selection import at_corner

# share of a camera's detections that agree with the others; of a freer solution more must
_USABLE, _USABLE_CLOCKS = 0.25, 0.5
# frames by which the last round may still have corrected a clock
_AT_REST = 0.1
# frames between the means whose difference is `Reading.velocity`
_FAR_APART = 11.0
# multiple of the variance that noise alone gives a velocity
_MOVES = 4.0
# largest standard deviations: of the focal length (relative), of the centres (as a share of the longest baseline)
_FOCAL_SIGMA, _CENTRE_SIGMA = 0.1, 0.1
# largest standard deviation of the distortion at the image's corner, as a share of its diagonal
_DISTORTION_SIGMA = 0.01
# thickness of a cloud of points as a share of its length, below which it counts as planar
_FLAT = 0.04
# radians (10 degrees) between optical axes, below which they count as parallel
_PARALLEL = 0.17


def check_agreement(found: RefinedRig, names: tuple[str, ...], threshold: float, unknowns: Unknowns) -> None:
    """Check that enough of every camera's detections agree with the others.

    Args:
        found: a solution.
        names: of the cameras.
        threshold: pixels within which detections agree, for the message.
        unknowns: what was estimated; clocks need a larger share.

    Raises:
        NotDeterminedError: names the worst camera.
    """
    worst = int(found.agreement.argmin())
    share = float(found.agreement[worst])
    if share < (_USABLE if unknowns.clock == "given" else _USABLE_CLOCKS):
        raise NotDeterminedError(disagreement_message(names[worst], f"only {share:.0%}", threshold, unknowns))


def check_converged(found: RefinedRig, fps: float) -> None:
    """Check that the clocks have converged.

    Args:
        found: a solution.
        fps: frames per second.

    Raises:
        NotDeterminedError: the last round still corrected a clock.
    """
    moved = float(found.adjusted.clock[:, 0].abs().max()) * fps
    if moved > _AT_REST:
        raise NotDeterminedError(
            f"the cameras' clocks did not converge (the last correction was {moved:.1f} frames): the recording does "
            f"not determine their time offsets. Record a person who walks about where all cameras see them, and clap "
            f"once."
        )


def check_motion(found: RefinedRig, names: tuple[str, ...], unknowns: Unknowns) -> None:
    """Check, where clocks are estimated, that something moves by more than the noise in every view.

    Args:
        found: a solution.
        names: of the cameras.
        unknowns: what was estimated.

    Raises:
        NotDeterminedError: names the camera that sees no motion.
    """
    if unknowns.clock == "given":
        return
    valid = (found.inliers & (found.reading.weights > 0))[..., None] & (found.reading.velocity != 0)
    squared = torch.where(valid, found.reading.velocity.square(), 0.0).sum(dim=(0, 2, 3))
    mean = squared / valid.sum(dim=(0, 2, 3)).clamp(min=1)
    least = _MOVES * (found.adjusted.sigma / _FAR_APART) ** 2
    if float(mean.min()) < least:
        raise NotDeterminedError(
            f"the person stands still as camera '{names[int(mean.argmin())]}' sees it: nothing moves by more than "
            f"the detections err, so time offsets cannot be determined. Record somebody who walks about, or "
            f"say that the cameras are synchronised (--fit-clock fixed)."
        )


def check_determined(found: RefinedRig, names: tuple[str, ...], unknowns: Unknowns) -> None:
    """Check the standard deviations of focal lengths, distortion and centres.

    Args:
        found: a solution.
        names: of the cameras.
        unknowns: what was estimated.

    Raises:
        NotDeterminedError: names the parameter and the likely reason (parallel axes, planar points, small volume).
    """
    cameras, adjusted = found.cameras, found.adjusted
    reach = float((cameras.centres - cameras.centres[0]).norm(dim=-1).max())
    centre = adjusted.centre_covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1).clamp(min=0).sqrt() / reach
    bad_focal = ~(adjusted.focal_sigma <= _FOCAL_SIGMA)
    bad_centre = ~(centre <= _CENTRE_SIGMA)
    bent = adjusted.covariance_of("k1").diagonal().clamp(min=0).sqrt() * at_corner(cameras)
    bad_lens = ~(bent <= _DISTORTION_SIGMA * cameras.size.norm(dim=-1))
    if not bool((bad_focal | bad_centre | bad_lens).any()):
        return
    if bool(bad_focal.any()):
        worst = int(torch.nan_to_num(adjusted.focal_sigma, nan=torch.inf).argmax())
        what = f"the focal length of camera '{names[worst]}' (± {float(adjusted.focal_sigma[worst]):.0%})"
    elif bool(bad_lens.any()):
        worst = int(torch.nan_to_num(bent, nan=torch.inf).argmax())
        what = (
            f"the distortion of camera '{names[worst]}' (± {float(bent[worst]):.0f} px in the image's corner)"
        )
    else:
        worst = int(torch.nan_to_num(centre, nan=torch.inf).argmax())
        what = f"where camera '{names[worst]}' stands (± {float(centre[worst]):.0%} of the rig)"
    intrinsics_given = unknowns.focal == unknowns.distortion == "given"
    advice = "" if intrinsics_given else " Or give the intrinsics (--intrinsics FILE --fit-focal fixed)."
    raise NotDeterminedError(f"this recording does not determine {what}: {_reason(found)}{advice}")


def _reason(found: RefinedRig) -> str:
    axes = found.cameras.rotation[:, 2]
    if float((axes @ axes.mT).clamp(-1, 1).acos().max()) < _PARALLEL:
        return (
            "all cameras look in almost the same direction (parallel cameras). Turn them towards one "
            "place from different sides."
        )
    if _thickness(found.points.flatten(0, 1)) < _FLAT:
        return (
            "everything seen lies near a single plane. Let the person walk towards the cameras and away, and "
            "crouch or raise the arms."
        )
    return (
        "the person fills too little of the space between the cameras. Let them walk through all of it, nearer to "
        "each camera and farther away."
    )


def _thickness(points: Float[Tensor, "points 3"]) -> float:
    valid = points[points.isfinite().all(dim=-1)]
    middle = valid - valid.median(dim=0).values
    near = middle[middle.norm(dim=-1) < 5 * middle.norm(dim=-1).median()]  # strays are thick
    extent = torch.linalg.svdvals(near)
    return float(extent[2] / extent[0].clamp(min=1e-300))
