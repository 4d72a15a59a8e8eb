"""The calibration from people as it is written: cameras, clocks, standard deviations, provenance."""

from dataclasses import replace

from coview.body.gravity import Upright
from coview.body.stature_scale import Scale
from coview.cameras import Cameras
from coview.capture.calibration.initial_intrinsics import (
    CLOCK_WORDS,
    FOCAL_WORDS,
    found_clocks,
    found_distortion,
)
from coview.formats.calibration.calibration import Calibration
from coview.geometry.self_calibration.iterative_refinement import RefinedRig
from coview.geometry.self_calibration.self_calibrate import SelfCalibrated


def found_calibration(
    given: Calibration,
    cameras: Cameras,
    found: SelfCalibrated,
    scale: Scale,
    upright: Upright,
    frames: tuple[int, int] | None,
) -> Calibration:
    """Assemble the calibration that is written: cameras, clocks, standard deviations, and provenance.

    Args:
        given: The intrinsics that the estimation started from.
        cameras: The estimated cameras in the metric, upright world.
        found: The self-calibration.
        scale: Metres per unit, and where it comes from.
        upright: The rotation to z up, and where it comes from.
        frames: First frame and the one after the last that were used; None: all.

    Returns:
        The calibration; a note says where cameras that are taken as synchronised seem not to be.
    """
    adjusted = found.refined.adjusted
    provenance = {
        **{f"intrinsics_{key}": value for key, value in given.provenance.items()},
        "method": "people",
        "frames": "all" if frames is None else f"{frames[0]} to {frames[1]}",
        "scale": scale.words,
        "gravity": upright.words,
        "adjustment": f"{adjusted.rms:.2f} px rms{'' if adjusted.converged else ', NOT converged'}",
        "focal": FOCAL_WORDS[found.unknowns.focal],
        "distortion": found_distortion(found, given.names),
        "clock": CLOCK_WORDS[found.unknowns.clock],
        "tests": "; ".join(found.words) or "none",
    }
    centre, rotation = _sigmas(found.refined, scale)
    focal_sigma = (adjusted.focal_sigma * adjusted.cameras.focal.mean(dim=-1)).tolist()
    return replace(
        given,
        cameras=cameras,
        provenance=provenance,
        sigma=dict(zip(given.names, zip(centre, rotation, strict=True), strict=True)),
        clocks=found_clocks(found, given.names),
        focal_sigma={}
        if found.unknowns.focal == "given"
        else dict(zip(given.names, focal_sigma, strict=True)),
        scale_sigma=scale.relative_sigma,
        notes=given.notes + _time_offset_notes(found, given.names),
    )


def _time_offset_notes(found: SelfCalibrated, names: tuple[str, ...]) -> tuple[str, ...]:
    if found.apparent_offsets is None:
        return ()
    told = ", ".join(
        f"{name} {frames:+.1f}" for name, frames in zip(names, found.apparent_offsets.tolist(), strict=True)
    )
    return (
        f"the cameras were said to be synchronised, and the recording contradicts it: time offsets in frames, to first "
        f"order: {told}. Places and focal lengths may be off by more than their standard deviations say; leave "
        f"--fit-clock fixed out.",
    )


def _sigmas(found: RefinedRig, scale: Scale) -> tuple[list[float], list[float]]:
    """Standard deviations of every centre (metres) and rotation (radians) relative to the first camera.

    The root of the summed variances over the three axes.
    """
    centre, rotation = (
        each.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
        for each in (found.adjusted.centre_covariance, found.adjusted.camera_covariance[:, :3, :3])
    )
    return (centre * scale.metres_per_unit).tolist(), rotation.tolist()
