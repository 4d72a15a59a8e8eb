"""What a recording does not determine is refused by name, with what to record instead."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.iterative_refinement import Settled, misfit_words
from coview.geometry.self_calibration.model_selection import at_corner

# share of a camera's detections that agree with the others; of a freer solution more must
_USABLE, _USABLE_CLOCKS = 0.25, 0.5
_AT_REST = 0.1  # frames that a clock may still move by
_FAR_APART = 11.0  # frames between the means that `Reading.velocity` is the difference of
_MOVES = 4.0  # times the variance that noise alone would give a velocity
_FOCAL_SIGMA, _CENTRE_SIGMA = 0.08, 0.1  # relative: of the focal length, of the longest baseline
_BENT_SIGMA = 0.01  # of the image's diagonal, in its corner: of the distortion
_FLAT = 0.04  # thickness of a cloud of points against its length
_PARALLEL = 0.17  # radians (10 degrees) between optical axes


def check_agreement(found: Settled, names: tuple[str, ...], threshold: float, unknowns: Unknowns) -> None:
    """NotDeterminedError for a camera most of whose detections do not fit."""
    worst = int(found.agreement.argmin())
    share = float(found.agreement[worst])
    if share < (_USABLE if unknowns.clock == "given" else _USABLE_CLOCKS):
        raise NotDeterminedError(misfit_words(names[worst], f"only {share:.0%}", threshold, unknowns))


def check_settled(found: Settled, fps: float) -> None:
    """NotDeterminedError where the clocks were still moving when the rounds were over."""
    moved = float(found.adjusted.clock[:, 0].abs().max()) * fps
    if moved > _AT_REST:
        raise NotDeterminedError(
            f"the cameras' clocks did not settle (the last correction was {moved:.1f} frames): the recording does not "
            f"tell how late they are. Record a person who walks about where all cameras see them, and clap once."
        )


def check_motion(found: Settled, names: tuple[str, ...], unknowns: Unknowns) -> None:
    """NotDeterminedError where clocks are to be found and nothing moves by more than the noise."""
    if unknowns.clock == "given":
        return
    known = (found.inliers & (found.reading.weights > 0))[..., None] & (found.reading.velocity != 0)
    squared = torch.where(known, found.reading.velocity.square(), 0.0).sum(dim=(0, 2, 3))
    mean = squared / known.sum(dim=(0, 2, 3)).clamp(min=1)
    least = _MOVES * (found.adjusted.sigma / _FAR_APART) ** 2
    if float(mean.min()) < least:
        raise NotDeterminedError(
            f"the person stands still as camera '{names[int(mean.argmin())]}' sees it: nothing moves by more than "
            f"the detections err, so whether the cameras are late cannot be told. Record somebody who walks about, or "
            f"say that the cameras are synchronised (--fit-clock fixed)."
        )


def check_determined(found: Settled, names: tuple[str, ...], unknowns: Unknowns) -> None:
    """NotDeterminedError where the covariance says that the answer is a guess, with the likely reason."""
    cameras, adjusted = found.cameras, found.adjusted
    reach = float((cameras.centres - cameras.centres[0]).norm(dim=-1).max())
    centre = adjusted.centre_covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1).clamp(min=0).sqrt() / reach
    bad_focal = ~(adjusted.focal_sigma <= _FOCAL_SIGMA)
    bad_centre = ~(centre <= _CENTRE_SIGMA)
    bent = adjusted.covariance_of("k1").diagonal().clamp(min=0).sqrt() * at_corner(cameras)
    bad_lens = ~(bent <= _BENT_SIGMA * cameras.size.norm(dim=-1))
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
    lenses_given = unknowns.focal == unknowns.distortion == "given"
    advice = "" if lenses_given else " Or give the lenses (--intrinsics FILE --fit-focal fixed)."
    raise NotDeterminedError(f"this recording does not determine {what}: {_reason(found)}{advice}")


def _reason(found: Settled) -> str:
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
    known = points[points.isfinite().all(dim=-1)]
    middle = known - known.median(dim=0).values
    near = middle[middle.norm(dim=-1) < 5 * middle.norm(dim=-1).median()]  # strays are thick
    spread = torch.linalg.svdvals(near)
    return float(spread[2] / spread[0].clamp(min=1e-300))
