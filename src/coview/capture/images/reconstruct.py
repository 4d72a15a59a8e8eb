"""Stage: a trained method finds the 3D joints of a session in its videos, cut to the person."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.images.compare import TriangulationComparison, compare_with_triangulation
from coview.capture.images.inference import ImageInference, load_if_current
from coview.capture.images.model import KINDS, ImageModel, Kind
from coview.capture.images.person_boxes import FEWEST, person_boxes
from coview.capture.images.videos import session_videos
from coview.capture.reconstruction.filtering import fill_gaps, low_pass
from coview.capture.reconstruction.reconstruct import input_fingerprint, reconstruct
from coview.data.viewpoints import MARGIN
from coview.errors import InputError
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import nearest_pictures, session_tracks
from coview.geometry.triangulation.inlier_threshold import check_settings
from coview.skeletons import Skeleton, skeleton_map


@dataclass(frozen=True)
class ImageReconstruction:
    """The joints that the stage wrote, and how they agree with the detections' triangulation."""

    # file that was written
    path: Path
    # its content: joints in metres
    poses: Poses3D
    # share of joints with a position
    found: float
    # mean number of views per frame that was found
    views: float
    # None where a comparison is not possible
    compared: TriangulationComparison | None
    # why there is no comparison
    not_compared: str

    def lines(self) -> list[str]:
        """Lines of text that describe the comparison."""
        found = self.compared
        if found is None:
            return [f"not compared    {self.not_compared}"]
        return [
            f"beside          the detections' triangulation (no truth): {found.median_mm:.0f} mm apart in the median, "
            f"{found.mean_mm:.0f} mm in the mean, over {len(found.joints)} joints of the same name and {found.frames} "
            f"frames; {found.p_mpjpe_mm:.0f} mm (P-MPJPE) after a similarity alignment of each frame",
            f"residual        {found.residual_px:.1f} px median to the 2D detections; the triangulation has "
            f"{found.triangulated_px:.1f} px, and was fitted to them",
        ]


def result_path(session: Session, kind: Kind) -> Path:
    """File that the stage writes; the detections' triangulation stays where it is.

    Args:
        session: The session.
        kind: Kind of the model.

    Returns:
        The path, whether it exists or not.
    """
    return session.poses3d_path.with_name(f"joints3d_{kind}.npz")


def results(session: Session) -> dict[Kind, Path]:
    """Files that the stage wrote into the session so far.

    Args:
        session: The session.

    Returns:
        Path by kind of model.
    """
    paths = {kind: result_path(session, kind) for kind in KINDS}
    return {kind: path for kind, path in paths.items() if path.is_file()}


@one_at_a_time
def reconstruct_images(
    session: Session,
    model: ImageModel,
    *,
    min_confidence: float = 0.3,
    margin: float = MARGIN,
    max_gap: int = 10,
    smooth: float | None = None,
    at_once: int = 4,
    device: str = "cpu",
    overwrite: bool = False,
) -> ImageReconstruction:
    """Find the 3D joints of a session with a trained model of images, on crops around the person's 2D joints.

    A frame is left out where fewer than two views have a box (one, for a method that is told the root). Methods that
    are told where the root is get it from the detections' triangulation, which is made first where it is not there. Of
    a camera with a time offset the nearest picture is taken, up to half a frame off. A finished result of the same
    input, settings and weights is kept; interrupted work goes on where it was.

    Args:
        session: The session; it must be calibrated and have videos.
        model: The model.
        min_confidence: Detections below this confidence are left out.
        margin: Side of a crop over the extent of the joints; see `person_boxes`.
        max_gap: Frames; shorter gaps of boxes, roots and joints are interpolated.
        smooth: Cut-off of a zero-phase Butterworth filter in Hz, as in `reconstruct`; None: no filter.
        at_once: Frames in memory at once.
        device: Where the model runs, in torch's words.
        overwrite: Compute again in any case.

    Returns:
        Joints in metres (world frame), and how they agree with the triangulation.

    Raises:
        NothingReconstructedError: Instead of writing a result without a single joint.
        InputError: For settings out of range, and for what the session lacks.
        MissingFileError: Where a video or the calibration is missing.
    """
    check_settings(min_confidence, None)
    if max_gap < 0 or at_once < 1 or not margin >= 1:
        raise InputError(
            f"max_gap must be 0 or more, at_once 1 or more and margin at least 1; got {max_gap}, {at_once}, {margin:g}."
        )
    if smooth is not None:
        # an impossible cut-off is refused before the work
        low_pass(torch.zeros(1, 1, 3), session.fps, smooth)
    cameras = _cameras(session)
    videos = session_videos(session)
    triangulated = _triangulated(session, min_confidence)
    roots = _roots(triangulated, model, max_gap) if model.needs_root else None
    treatment = {
        "crop": f"{model.size} px, margin {margin:g}" + ", as released" * model.released_crops,
        # stored under this name since 0.1.0: with another, finished results would be made again
        "trust": f"{min_confidence:g}",
        "max_gap": str(max_gap),
        "smooth": "none" if smooth is None else f"{smooth:g} Hz",
    }
    settings = treatment | _inputs(session, model, videos, roots)
    path = result_path(session, model.kind)
    if not overwrite and (done := load_if_current(path, settings)):
        return _summary(session, path, done, triangulated)
    pixels, confidence = session_tracks(session)
    framing = _framing(session.skeleton, model.skeleton)
    boxes = person_boxes(
        cameras,
        pixels[:, :, framing],
        confidence[:, :, framing],
        min_confidence=min_confidence,
        margin=margin,
        max_gap=max_gap,
    )
    unfinished = path.with_name(f".{path.stem}.unfinished.npz")
    pictures = nearest_pictures(session)
    search = ImageInference(
        session, model, cameras, videos, boxes, pictures, roots, settings, unfinished, at_once, device
    )
    poses = search.done(fresh=overwrite)
    points = fill_gaps(poses.points, None, max_gap)[0]
    points = points if smooth is None else low_pass(points, poses.fps, smooth)
    told = settings | {"weights": str(model.weights.resolve())}
    poses = replace(poses, points=points, provenance=told, first_frame=session.first_frame)
    poses = replace(poses, residuals=_residuals(poses, cameras, pixels, session.skeleton))
    poses.save(path)
    unfinished.unlink(missing_ok=True)
    return _summary(session, path, poses, triangulated)


# --- what is needed ------------------------------------------------------------------------------


def _cameras(session: Session) -> Cameras:
    calibration = session.calibration()
    if not calibration.has_extrinsics:
        raise InputError(
            f"session {session.path}: its calibration holds intrinsics only and not where the cameras stand. "
            f"Run `coview calibrate people {session.path}`."
        )
    if len(session.cameras) < 2:
        raise InputError(f"session {session.path} has one camera; finding joints in 3D takes two or more.")
    return calibration.select(session.camera_names).cameras.to(torch.float64)


def _framing(source: Skeleton, target: Skeleton) -> list[int]:
    """Indices of the joints that boxes are put around: those that the model finds too, as in its training.

    Toes or heels would make the person smaller in the crop. All joints where hardly any has the same name.
    """
    shared = [column for column, joint in enumerate(source.joints) if joint in target.joints]
    return shared if len(shared) >= FEWEST else list(range(len(source)))


def _triangulated(session: Session, min_confidence: float) -> Poses3D:
    """The detections' triangulation: the session's own, made now where there is none.

    ValueError where it was made with another calibration, so that its points are in another world.
    """
    if not session.poses3d_path.is_file():
        return reconstruct(session, min_confidence=min_confidence).poses
    return session.poses3d()


def _roots(poses: Poses3D, model: ImageModel, max_gap: int) -> Float[Tensor, "frames 3"]:
    """The model's root joint in every frame, metres; NaN where it is not known."""
    root = Skeleton(f"the root of {model.skeleton.name}", (model.skeleton.root,), (), model.skeleton.root)
    points = skeleton_map(poses.skeleton, root).apply(poses.points.float())
    return fill_gaps(points, None, max_gap)[0][:, 0]


def _inputs(
    session: Session, model: ImageModel, videos: tuple[Path, ...], roots: Tensor | None
) -> dict[str, str]:
    """What the result rests on, as words and hashes."""
    pictures = "\n".join(f"{video.name} {video.stat().st_size}" for video in videos)
    told = b"" if roots is None else roots.numpy().tobytes()
    return {
        "kind": model.kind,
        "method": model.name,
        "weights_hash": model.digest,
        "input": input_fingerprint(session),
        "videos_hash": _hash(pictures.encode()),
        "root": "found by itself" if roots is None else "from the detections' triangulation",
        "root_hash": _hash(told),
        "calibration_hash": session.calibration().fingerprint,
        "tracks_hash": session.tracks_fingerprint,
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _residuals(
    poses: Poses3D, cameras: Cameras, pixels: Float[Tensor, "frames views source 2"], source: Skeleton
) -> Float[Tensor, "frames views joints"]:
    """Distance to the detections of joints of the same name, pixels."""
    residuals = torch.full((*pixels.shape[:2], len(poses.skeleton)), torch.nan)
    projected = cameras.project(poses.points[:, None].double()).float()
    for column, joint in enumerate(poses.skeleton.joints):
        if joint in source.joints:
            residuals[..., column] = (projected[..., column, :] - pixels[..., source.index(joint), :]).norm(
                dim=-1
            )
    return residuals


def _summary(session: Session, path: Path, poses: Poses3D, triangulated: Poses3D) -> ImageReconstruction:
    try:
        compared, why = compare_with_triangulation(session, poses, triangulated), ""
    except ValueError as error:
        compared, why = None, str(error)
    assert poses.inliers is not None
    views = poses.inliers.any(dim=-1).sum(dim=-1).float()
    return ImageReconstruction(
        path,
        poses,
        float(poses.points.isfinite().all(dim=-1).float().mean()),
        float(views[views > 0].mean()) if bool((views > 0).any()) else 0.0,
        compared,
        why,
    )
