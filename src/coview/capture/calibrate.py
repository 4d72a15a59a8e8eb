"""Stage: a session gets its cameras, from a file or from the people who move in front of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.people import people_of
from coview.data.body_scale import Scale, assumed_scale, scale_from_distance, scale_from_stature
from coview.data.people_cameras import spread_out, upright_cameras
from coview.data.session_tracks import session_tracks
from coview.data.upright import Upright
from coview.formats.calibrations import Calibration, calibration_for, read_calibration, write_calibration
from coview.formats.clocks import Clock
from coview.formats.image_sizes import SizeMismatch
from coview.formats.length_units import Units
from coview.formats.people import People
from coview.formats.session import Session
from coview.geometry.rotations import skew
from coview.geometry.self_calibration import SelfCalibrated, self_calibrate
from coview.geometry.thresholds import automatic_threshold, check_settings
from coview.geometry.triangulation import Triangulated, triangulate_robust

MAX_FRAMES = 300  # that the cameras are found from; all frames judge them
POOR_DETECTION = 0.006  # of the image's diagonal: beyond it a detection is wrong rather than poor


@dataclass(frozen=True)
class CameraFit:
    """How well one camera agrees with the others."""

    name: str
    median_px: float  # reprojection residual of the detections that agree, over the frames calibrated on
    held_out_px: float  # the same over the other frames; NaN where there are none
    agreement: float  # share of this camera's detections that agree with the others, over all frames
    centre_sigma_m: float  # standard deviation of the centre, relative to the first camera; NaN if unknown


@dataclass(frozen=True)
class Calibrated:
    """What the stage wrote and how good it is."""

    path: Path
    calibration: Calibration
    fits: tuple[CameraFit, ...]
    people: People | None = None  # where there are several: who is who by these cameras


def calibrate_from_file(
    session: Path,
    file: Path | None = None,
    *,
    size_mismatch: SizeMismatch = "keep",
    units: Units | None = None,
) -> Calibrated:
    """Take the cameras of a calibration file, matched to the session's cameras by name; also their clocks, aloud.

    Raises ValueError where the file is for other cameras or images, or is not a calibration."""
    loaded = Session.load(session)
    calibration = _given(loaded, file, size_mismatch, units)
    if not calibration.has_extrinsics:
        raise ValueError(
            f"{calibration.provenance['file']} holds lenses only, not where the cameras stand. "
            f"Place them with `coview calibrate {session} --from people`."
        )
    return _finish(loaded, replace(calibration, notes=calibration.notes + _clock_notes(calibration)), None)


def _clock_notes(calibration: Calibration) -> tuple[str, ...]:
    """Said aloud: a file of another take is the likeliest way to a silent wrong answer."""
    late = {name: clock for name, clock in calibration.clocks.items() if not clock.is_zero}
    if not late:
        return ()
    told = ", ".join(f"{name} {1000 * clock.offset:+.0f} ms" for name, clock in late.items())
    return (
        f"the file's clocks are taken over ({told}). They hold for the recording they were found on: of another take "
        f"by cameras that are not started together, remove [metadata.clocks] from the file.",
    )


def calibrate_from_people(
    session: Path,
    *,
    intrinsics: Path | None = None,
    stature: float | None = None,
    distance: tuple[str, str, float] | None = None,
    frames: tuple[int, int] | None = None,
    trust: float = 0.3,
    threshold: float | None = None,
    size_mismatch: SizeMismatch = "keep",
    seed: int = 0,
) -> Calibrated:
    """Find where the cameras stand from the joints they saw together; intrinsics must be known.

    Several people are told apart first, and all of them tell where the cameras stand; a `stature` is that of
    person 1, who is seen most.
    The world is metric (from `stature`, or from `distance`: two joints or two cameras and the
    metres between them), z up (from the body), its origin on the floor. Raises NotDeterminedError where
    the recording does not determine the cameras, with what to record instead."""
    check_settings(trust, threshold)
    loaded = Session.load(session)
    given = _given(loaded, intrinsics, size_mismatch, None, lenses_only=True)
    people = people_of(loaded, None)
    count = 1 if people is None else people.count
    pixels, weights = _observations(loaded, trust, {}, count)
    chosen = _chosen_frames(frames, len(pixels) // count).repeat(count)
    some = spread_out(chosen, MAX_FRAMES)
    limit = threshold or POOR_DETECTION * float(given.cameras.size.norm(dim=-1).mean())
    found = self_calibrate(
        given.cameras, pixels[some], weights[some], names=given.names, threshold=limit, seed=seed
    )
    own = some < len(pixels) // count  # of person 1: the others are of other statures
    first = replace(found, points=found.points[own], inliers=found.inliers[own])
    scale = _scale(first, loaded, given.names, stature, distance)
    cameras, upright = upright_cameras(found.cameras, found.points, scale, loaded.skeleton)
    calibration = _calibration(given, cameras, found, scale, upright, frames)
    if count > 1:
        calibration.provenance["people"] = f"{count} people, matched across the cameras before calibrating"
    return _finish(loaded, calibration, chosen, trust=trust, threshold=limit)


# --- parts ---------------------------------------------------------------------------------------


def _observations(
    session: Session, trust: float, clocks: Mapping[str, Clock], people: int = 1
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """Pixels and weights of all frames of one person, then of the next; views read by `clocks`; weight 0 below
    `trust`."""
    everybody = [session_tracks(session, clocks, person=person) for person in range(1, people + 1)]
    pixels, confidence = (torch.cat(parts) for parts in zip(*everybody, strict=True))
    weights = torch.where(confidence >= trust, confidence, 0.0)
    return pixels.double(), weights.double()


def _given(
    session: Session,
    file: Path | None,
    size_mismatch: SizeMismatch,
    units: Units | None,
    lenses_only: bool = False,
) -> Calibration:
    """The calibration file named, or the one found at import, for this session's cameras."""
    found = session.provenance.get("calibration_source")
    path = file or (Path(found) if found else None)
    if path is None:
        raise ValueError(
            f"session '{session.name}' came with no calibration file, and none was named. Give one: "
            f"--file CALIBRATION; with --from people its lenses alone are read."
        )
    names = [camera.name for camera in session.cameras]
    sizes = [camera.size for camera in session.cameras]
    known = dict(zip(names, sizes, strict=True))
    read = read_calibration(path, units=units, sizes=known, lenses_only=lenses_only)
    return calibration_for(read, names, sizes, size_mismatch=size_mismatch)


def _chosen_frames(frames: tuple[int, int] | None, count: int) -> Bool[Tensor, "frames"]:
    first, last = frames or (0, count)
    if not 0 <= first < last <= count:
        raise ValueError(
            f"frames {first} to {last} are not in the recording, which has frames 0 to {count} "
            f"(the last one is exclusive)."
        )
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[first:last] = True
    return chosen


def _scale(
    found: SelfCalibrated,
    session: Session,
    names: tuple[str, ...],
    stature: float | None,
    distance: tuple[str, str, float] | None,
) -> Scale:
    if stature is not None and distance is not None:
        raise ValueError(
            "both a stature and a known distance were given; the scale can follow only one of them."
        )
    if distance is not None:
        return _scale_from_distance(found, session, names, distance)
    if stature is not None:
        return scale_from_stature(found.points, session.skeleton, stature)
    assumed = assumed_scale(found.points, session.skeleton)
    return replace(assumed, source=f"{assumed.source} (none was stated: use --stature or --distance)")


def _scale_from_distance(
    found: SelfCalibrated, session: Session, names: tuple[str, ...], distance: tuple[str, str, float]
) -> Scale:
    a, b, metres = distance
    if a in names and b in names:
        centres = found.cameras.centres
        length = float((centres[names.index(a)] - centres[names.index(b)]).norm())
        return scale_from_distance(length, metres, max(0.01 * metres, 0.01), f"{a} to {b}")
    known = (*names, *session.skeleton.joints)
    unknown = [name for name in (a, b) if name not in session.skeleton.joints]
    if unknown:
        raise ValueError(
            f"a known distance is between two cameras or two joints; {', '.join(unknown)} is neither. "
            f"Known: {', '.join(known)}."
        )
    ends = found.points[:, session.skeleton.index(a)], found.points[:, session.skeleton.index(b)]
    length = float((ends[0] - ends[1]).norm(dim=-1).nanmedian())
    return scale_from_distance(length, metres, max(0.02 * metres, 0.005), f"{a} to {b}")


def _calibration(
    given: Calibration,
    cameras: Cameras,
    found: SelfCalibrated,
    scale: Scale,
    upright: Upright,
    frames: tuple[int, int] | None,
) -> Calibration:
    provenance = {
        **{f"intrinsics_{key}": value for key, value in given.provenance.items()},
        "method": "people",
        "frames": "all" if frames is None else f"{frames[0]} to {frames[1]}",
        "scale": scale.words,
        "gravity": upright.words,
        "adjustment": f"{found.adjusted.rms:.2f} px rms{'' if found.adjusted.converged else ', NOT converged'}",
    }
    centre, rotation = _sigmas(found, scale)
    return replace(
        given,
        cameras=cameras,
        provenance=provenance,
        sigma=dict(zip(given.names, zip(centre, rotation, strict=True), strict=True)),
        clocks={},  # those of the file are of another recording
        scale_sigma=scale.relative_sigma,
    )


def _sigmas(found: SelfCalibrated, scale: Scale) -> tuple[list[float], list[float]]:
    """Standard deviations of every centre (metres) and rotation (radians) relative to the first camera.

    The root of the summed variances over the three axes. C = -Rᵀt, so a turn δ (left) and a shift τ of
    the translation move the centre by -Rᵀ(τ + [t]× δ)."""
    covariance = found.adjusted.camera_covariance
    lever = torch.cat(
        [skew(found.adjusted.cameras.translation), torch.eye(3).expand(len(covariance), 3, 3)], -1
    )
    centre = (lever @ covariance @ lever.mT).diagonal(dim1=-2, dim2=-1).sum(-1).sqrt() * scale.metres_per_unit
    rotation = covariance[:, :3, :3].diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    return centre.tolist(), rotation.tolist()


def _finish(
    session: Session,
    calibration: Calibration,
    chosen: Bool[Tensor, "frames"] | None,
    *,
    trust: float = 0.3,
    threshold: float | None = None,
) -> Calibrated:
    """Write the cameras, and say how well they explain what they saw."""
    noted = calibration
    if calibration.notes:
        noted = replace(
            calibration, provenance={**calibration.provenance, "notes": " | ".join(calibration.notes)}
        )
    people = people_of(session, calibration)  # these cameras tell them apart better than anything before
    found = _triangulated(session, calibration, trust, threshold, 1 if people is None else people.count)
    if chosen is not None and len(chosen) != len(found.points):
        chosen = chosen[: session.frames].repeat(people.count if people else 1)
    fits = tuple(_fit(calibration, found, view, chosen) for view in range(len(calibration.names)))
    write_calibration(noted, session.calibration_path)
    return Calibrated(session.calibration_path, noted, fits, people)


def _triangulated(
    session: Session, calibration: Calibration, trust: float, threshold: float | None, people: int
) -> Triangulated:
    """Every joint from the views that agree, with the calibration that is to be judged."""
    pixels, weights = _observations(session, trust, calibration.clocks, people)
    cameras = calibration.cameras.to(torch.float64)
    straight = cameras.undistort(torch.nan_to_num(pixels))[0]
    limit = threshold or automatic_threshold(cameras, pixels, weights)
    return triangulate_robust(
        straight, cameras.without_distortion().pixels_from_world, weights, threshold=limit
    )


def _fit(
    calibration: Calibration, found: Triangulated, view: int, chosen: Bool[Tensor, "frames"] | None
) -> CameraFit:
    residuals, inside = found.residuals[:, view], found.inliers[:, view]
    used = torch.ones(len(residuals), dtype=torch.bool) if chosen is None else chosen
    seen = residuals.isfinite()
    name = calibration.names[view]
    return CameraFit(
        name,
        _median(residuals[used][inside[used]]),
        _median(residuals[~used][inside[~used]]),
        float((inside & seen).sum() / seen.sum().clamp(min=1)),
        calibration.sigma[name][0] if name in calibration.sigma else float("nan"),
    )


def _median(values: Tensor) -> float:
    return float(values.median()) if values.numel() else float("nan")
