"""Stage: a session's 2D joints become 3D joints, in metres, each with a covariance."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.association.stage import placed, update_people
from coview.capture.judgement.judgement import Judgement, refuse
from coview.capture.judgement.of_session import judge_session, told
from coview.capture.reconstruction.filtering import check_motion, fill_gaps, low_pass
from coview.capture.reconstruction.motion_quality import bone_length_std, jitter
from coview.capture.reconstruction.trajectory_refinement import refine as refine_take
from coview.errors import InputError
from coview.formats.io.camera_names import listed
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.people import People
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.geometry.triangulation.detection_noise import detection_noise
from coview.geometry.triangulation.inlier_threshold import automatic_threshold, check_settings
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated, reprojection_residuals
from coview.progress import progress
from coview.threads import one_thread

# frames triangulated at once: bounds memory, and is what the progress bar counts
CHUNK = 4096
# share of the joints that two cameras see, up to which nothing was reconstructed
_NOTHING = 0.01


@dataclass(frozen=True)
class Reconstructed:
    """The 3D joints that the stage wrote, and how good they are."""

    # file that was written
    path: Path
    # its content: joints in metres, with covariances
    poses: Poses3D
    # reprojection threshold between inliers and outliers, pixels
    threshold_px: float
    # share of joints with a position
    found: float
    # median reprojection residual of the inliers, pixels
    median_px: float
    # share of detections that are outliers
    left_out: float


class NothingReconstructedError(InputError):
    """No joint could be placed in any frame; writing an empty result would hide it."""


@one_at_a_time
@one_thread()
def reconstruct(
    session: Session,
    *,
    person: int = 1,
    min_confidence: float = 0.3,
    threshold: float | None = None,
    solver: Literal["linear", "reprojection"] = "linear",
    max_gap: int = 10,
    smooth: float | None = None,
    refine: bool = False,
    overwrite: bool = False,
    force: bool = False,
    judge: Callable[[], Judgement | None] | None = None,
) -> Reconstructed:
    """Triangulate every joint of one person in every frame of a session, robustly, and write the 3D joints.

    A finished result of the same calibration, 2D joints and settings is kept.

    Args:
        session: The session; it must be calibrated.
        person: Which of several people, from 1, who is seen most; `reconstruct_everybody` does all.
        min_confidence: Detections below this confidence, in [0, 1], are left out.
        threshold: Pixels beyond which a detection is wrong rather than poor; default: three times the robust standard
            deviation of this recording's own residuals.
        solver: `linear` is the weighted DLT that other tools compute, `reprojection` the maximum-likelihood point.
        max_gap: Gaps of up to this many frames are interpolated.
        smooth: Cut-off of a zero-phase Butterworth filter in Hz.
        refine: Solve for the whole take with smooth motion and constant bones as priors instead
            (`coview.capture.reconstruction.trajectory_refinement`).
        overwrite: Compute again in any case; exports and reports of the earlier result are removed.
        force: Whether to use cameras that do not fit what they saw; the result is marked.
        judge: Judges the cameras, where several people share one judgement; default: `judge_session`.

    Returns:
        Joints in metres (world frame), with covariances and residuals, and how good they are.

    Raises:
        NothingReconstructedError: Instead of writing a result without a single joint.
        RefusedError: Where the cameras do not fit what they saw.
        InputError: For settings that are out of range.
        MissingFileError: Where the session is not calibrated.
    """
    check_settings(min_confidence, threshold)
    if max_gap < 0:
        raise InputError(f"max_gap {max_gap} must be 0 (no gap is filled) or more frames.")
    if refine and smooth is not None:
        raise InputError("refine finds from the take itself how smooth the motion is: leave smooth out.")
    calibration = session.calibration()
    people = update_people(session, placed(session))
    path = session.poses3d_path_of(person)
    told_apart = None if people is None else person
    settings = _settings(session, told_apart, min_confidence, threshold, solver, max_gap, smooth, refine)
    if (done := _finished(path, settings)) and not overwrite:
        return _summary(path, done)
    _check_possible(session)
    pixels, confidence = session_tracks(session, calibration.clocks, person=person)
    weights = torch.where(confidence >= min_confidence, confidence, 0.0)
    _check_seen_twice(session, weights)
    judgement = judge() if judge else _judge(session, min_confidence, people)
    assert judgement is not None  # two cameras and a frame
    refuse(judgement, "the session's calibration", force)
    weights = torch.where(judgement.usable[..., None], weights, 0.0)
    cameras = calibration.cameras.to(torch.float64)
    limit = threshold or automatic_threshold(cameras, pixels, weights)
    found = _triangulate_all(cameras, pixels, weights, limit, solver)
    known = {"threshold_px": f"{limit:.2f}", "calibration_hash": calibration.fingerprint}
    _check_found(found, session, weights, limit)
    noise = detection_noise(found, cameras, pixels, weights)
    raw = _poses(found, noise / _noise(limit), session, settings | known | told(judgement))
    poses = _between(raw, max_gap, smooth)
    if refine:
        poses = _refined(raw, cameras, pixels, weights, found, limit)
    remade = path.is_file()
    poses.save(path)
    if remade:
        session.remove_shown("reconstruct")
    return _summary(path, poses)


@one_at_a_time
def reconstruct_everybody(
    session: Session, *, person: int | None = None, **options: Any
) -> tuple[list[Reconstructed], list[str]]:
    """`reconstruct` with the same options for everybody in view of a session, one file each; and who has no place.

    3D joints of people whom the session does not have any more are removed.

    Args:
        session: The session; it must be calibrated.
        person: Only this one.
        **options: Of `reconstruct`.

    Returns:
        What was written, and a sentence for every person who could not be placed.

    Raises:
        NothingReconstructedError: Where person 1 could not be placed.
    """
    if person is not None:
        return [reconstruct(session, person=person, **options)], []
    people = update_people(session, placed(session))
    count = 1 if people is None else people.count
    # made once for everybody, and not at all where every result is there
    judge = cache(partial(_judge, session, options.get("min_confidence", 0.3), people))
    done, failed = [], []
    for person in range(1, count + 1):
        try:
            done.append(reconstruct(session, person=person, judge=judge, **options))
        except NothingReconstructedError as error:
            if person == 1:
                raise
            session.poses3d_path_of(person).unlink(missing_ok=True)
            failed.append(f"person {person}: {error}")
    number = count
    while (left := session.poses3d_path_of(number := number + 1)).is_file():
        left.unlink()
    return done, failed


def _judge(session: Session, min_confidence: float, people: People | None) -> Judgement | None:
    count = 1 if people is None else people.count
    return judge_session(session, session.calibration(), min_confidence=min_confidence, people=count)


def _settings(
    session: Session,
    person: int | None,
    min_confidence: float,
    threshold: float | None,
    solver: str,
    max_gap: int,
    smooth: float | None,
    refine: bool,
) -> dict[str, str]:
    """What a result depends on, as it is stored: a finished one with the same is kept."""
    return {
        # stored under this name since 0.1.0: with another, finished results would be made again
        "trust": f"{min_confidence:g}",
        "threshold": "auto" if threshold is None else f"{threshold:g}",
        "solver": solver,
        "max_gap": str(max_gap),
        "smooth": "none" if smooth is None else f"{smooth:g} Hz",
        "refine": "yes" if refine else "no",
        "input": input_fingerprint(session),
        **({} if person is None else {"person": str(person)}),
    }


def _check_possible(session: Session) -> None:
    """NothingReconstructedError for a session without frames, or of one camera."""
    if session.frames == 0:
        raise NothingReconstructedError(
            f"session {session.path} has no frames, so there is nothing to reconstruct."
        )
    if len(session.cameras) < 2:
        raise NothingReconstructedError(
            f"session {session.path} has one camera ({listed(session.camera_names)}), and one ray has no depth. Import "
            f"a recording of two or more, or use a one-camera model (`coview predict`)."
        )


def _chunks(
    cameras: Cameras, pixels: Tensor, weights: Tensor, limit: float, solver: Literal["linear", "reprojection"]
) -> Iterator[Triangulated]:
    for first in range(0, len(pixels), CHUNK):
        part = slice(first, first + CHUNK)
        yield triangulate_robust(
            cameras,
            pixels[part].to(torch.float64),
            weights[part].to(torch.float64),
            threshold=limit,
            sigma=_noise(limit),
            solver=solver,
        )


def _noise(limit: float) -> float:
    """Standard deviation of a detection that `automatic_threshold` assumes for a threshold, pixels.

    Whether a rival place is conceivable is judged by it; covariances are scaled to the noise that shows."""
    return limit / 3.0


def _triangulate_all(
    cameras: Cameras, pixels: Tensor, weights: Tensor, limit: float, solver: Literal["linear", "reprojection"]
) -> Triangulated:
    chunks = _chunks(cameras, pixels, weights, limit, solver)
    total = -(-len(pixels) // CHUNK)
    parts = list(progress(chunks, total=total, what="reconstruct"))
    names = ("points", "covariance", "inliers", "residuals")
    return Triangulated(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _poses(
    found: Triangulated, noise: Float[Tensor, "joints"], session: Session, provenance: dict[str, str]
) -> Poses3D:
    """`noise`: of each joint's detections, as a share of what the covariances were computed with."""
    return Poses3D(
        points=found.points.float(),
        covariance=(noise[:, None, None] ** 2 * found.covariance).float(),
        inliers=found.inliers,
        residuals=found.residuals.float(),
        fps=session.fps,
        skeleton=session.skeleton,
        provenance=provenance | {"tracks_hash": session.tracks_fingerprint},
        first_frame=session.first_frame,
    )


def _between(poses: Poses3D, max_gap: int, smooth: float | None) -> Poses3D:
    """Short gaps interpolated, then smoothed; interpolated joints carry no inlier in any view."""
    points, grown = fill_gaps(poses.points, poses.covariance, max_gap)
    if smooth is not None:
        before, points = points, low_pass(points, poses.fps, smooth)
        check_motion(before, points, smooth)
    return replace(poses, points=points, covariance=grown)


def _refined(
    poses: Poses3D, cameras: Cameras, pixels: Tensor, weights: Tensor, found: Triangulated, limit: float
) -> Poses3D:
    """The whole take solved at once; joints that the priors filled in carry no inlier in any view."""
    straight = torch.cat([cameras.undistorted(part.double())[1] for part in pixels.split(CHUNK)])
    projections = cameras.pixels_from_world
    bones = poses.skeleton.bone_indices
    better = refine_take(straight, projections, weights, found, bones, poses.fps, sigma=_noise(limit))
    residuals = reprojection_residuals(better.points, straight, projections)
    residuals = torch.where(weights > 0, residuals, torch.nan)
    before, after = ((bone_length_std(each, bones), jitter(each)) for each in (found.points, better.points))
    told = {
        "refined": f"detections err by {float(better.noise.median()):.1f} px (standard deviation, median joint); bone "
        f"lengths vary by {1000 * before[0]:.1f} → {1000 * after[0]:.1f} mm, jitter {1000 * before[1]:.1f} → "
        f"{1000 * after[1]:.1f} mm"
    }
    return replace(
        poses,
        points=better.points.float(),
        covariance=better.covariance.float(),
        inliers=residuals < limit,
        residuals=residuals.float(),
        provenance=poses.provenance | told,
    )


def input_fingerprint(session: Session) -> str:
    """Hash what a reconstruction depends on: the session's calibration, its 2D joints, and who is who.

    Args:
        session: The session.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(session.calibration_path.read_bytes())
    digest.update(f"{session.tracks_fingerprint} {session.first_frame}".encode())
    return digest.hexdigest()[:16]


def _finished(path: Path, settings: dict[str, str]) -> Poses3D | None:
    """The result that is there, if it was made from the same input in the same way."""
    if not path.exists():
        return None
    poses = Poses3D.load(path)
    return poses if settings.items() <= poses.provenance.items() else None


def _summary(path: Path, poses: Poses3D) -> Reconstructed:
    assert poses.inliers is not None
    assert poses.residuals is not None
    seen = poses.residuals.isfinite()
    inside: Bool[Tensor, "frames views joints"] = poses.inliers & seen
    return Reconstructed(
        path,
        poses,
        float(poses.provenance["threshold_px"]),
        float(poses.points.isfinite().all(dim=-1).float().mean()),
        float(poses.residuals[inside].median()) if bool(inside.any()) else float("nan"),
        1 - float(inside.sum()) / max(int(seen.sum()), 1),
    )


def _check_seen_twice(session: Session, weights: Tensor) -> None:
    """NothingReconstructedError where no joint is seen by two cameras at the same time."""
    if not bool(((weights > 0).sum(dim=1) >= 2).any()):
        raise NothingReconstructedError(_why_nothing(session, weights, None))


def _check_found(found: Triangulated, session: Session, weights: Tensor, limit: float) -> None:
    """NothingReconstructedError where next to none of the joints that two cameras see has a place."""
    twice = (weights > 0).sum(dim=1) >= 2
    placed_there = found.points.isfinite().all(dim=-1) & twice
    if int(placed_there.sum()) <= _NOTHING * int(twice.sum()):
        raise NothingReconstructedError(_why_nothing(session, weights, limit))


def _why_nothing(session: Session, weights: Tensor, limit: float | None) -> str:
    per_camera = ", ".join(
        f"{camera.name}: {float((weights[:, view] > 0).float().mean()):.0%}"
        for view, camera in enumerate(session.cameras)
    )
    agree = "" if limit is None else f" and agree within {limit:.0f} px"
    return (
        f"session '{session.name}': next to no joint could be placed in 3D. Joints detected per camera: {per_camera}. "
        f"At least two cameras must see a joint in the same frame{agree}. If they all see "
        f"the person, the calibration does not belong to this recording, or the videos are not synchronised."
    )
