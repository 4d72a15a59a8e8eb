"""Detections and reprojected joints drawn over video frames, cropped to the person."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from coview.formats.io.video import read_frames
from coview.formats.session.session import SessionCamera
from coview.formats.session.synchronised_tracks import nearest_pictures
from coview.report.colours import CANVAS, DETECTION, RGB, bone_colours, side_colour
from coview.report.evidence import Reprojection, SessionEvidence
from coview.skeletons import Skeleton

SIZE = (420, 520)  # width, height of a picture in pixels
HORIZON = 1500  # frames of video decoded at most: finding a frame means decoding all before it
_QUALITY = 82


@dataclass(frozen=True)
class Overlay:
    """One camera at one instant."""

    camera: str
    # number in the recording, counted from 0
    frame: int
    # between detections used and reprojections; NaN where there are none
    median_px: float
    # RGB
    picture: UInt8[np.ndarray, "height width 3"]
    on_video: bool


def instants(evidence: SessionEvidence, count: int) -> list[int]:
    """Frames to show: spread evenly over those with most joints; the last is the one of largest error among them.

    Args:
        evidence: Content of the session.
        count: How many frames.

    Returns:
        At most `count` frames.
    """
    strength = _strength(evidence)
    if any(camera.video for camera in evidence.session.cameras):
        strength = strength[:HORIZON]
    good = (strength >= 0.8 * strength.max()).nonzero()[:, 0]
    if not len(good) or strength.max() <= 0:
        return []
    evenly = good[torch.linspace(0, len(good) - 1, count + 1)[:-1].long() + len(good) // (2 * count + 1)]
    chosen = sorted(set(evenly.tolist()))
    worst = _worst(evidence, good)
    return chosen if worst is None or count < 2 else [*chosen[: count - 1], worst]


def overlays(evidence: SessionEvidence, frames: Sequence[int]) -> list[list[Overlay]]:
    """Pictures of every camera at some frames: detections and reprojected joints on the video.

    Args:
        camera with another clock shows its nearest frame, up to half a frame off. Where the video cannot be read, the
            canvas is blank.
        evidence: Content of the session.
        frames: Frames of the session.

    Returns:
        Per camera, one picture per frame.
    """
    nearest = nearest_pictures(evidence.session)[list(frames)].T.tolist()
    return [
        [_overlay(evidence, view, frame, pictures.get(own)) for frame, own in zip(frames, owns, strict=True)]
        for view, (camera, owns) in enumerate(zip(evidence.session.cameras, nearest, strict=True))
        for pictures in [_pictures(camera, [own for own in owns if own >= 0])]
    ]


def encode(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Encode a picture as JPEG.

    Args:
        picture: RGB.

    Returns:
        The file's bytes.
    """
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes()


def _strength(evidence: SessionEvidence) -> Float[Tensor, "frames"]:
    """How much there is to see in each frame: detections and reprojections that are known."""
    shown = [part for part in (evidence.pixels, evidence.projected) if part is not None]
    valid_shares = [part.isfinite().all(dim=-1).float().mean(dim=(1, 2)) for part in shown]
    return torch.stack(valid_shares).mean(dim=0) if valid_shares else torch.zeros(1)


def _worst(evidence: SessionEvidence, among: Tensor) -> int | None:
    """The instant whose median error is largest."""
    compared = evidence.comparison
    if compared is None:
        return None
    errors = torch.where(compared.used[among], compared.errors[among], torch.nan)
    median = errors.flatten(1).nanmedian(dim=1).values
    return int(among[median.nan_to_num(-1.0).argmax()]) if bool(median.isfinite().any()) else None


def _pictures(camera: SessionCamera, frames: Sequence[int]) -> dict[int, np.ndarray]:
    """Frames of the camera's video; empty where it has none, has moved or cannot be decoded."""
    if camera.video is None:
        return {}
    try:
        return dict(read_frames(camera.video, frames))
    except (FileNotFoundError, ValueError):
        return {}  # the picture's caption says "no video"


def _overlay(evidence: SessionEvidence, view: int, frame: int, picture: np.ndarray | None) -> Overlay:
    camera = evidence.session.cameras[view]
    nothing = torch.full((len(evidence.skeleton), 2), torch.nan)
    seen = nothing if evidence.pixels is None else evidence.pixels[frame, view]
    placed = nothing if evidence.projected is None else evidence.projected[frame, view]
    size = _size(evidence, view) if picture is None else (picture.shape[1], picture.shape[0])
    left, top, scale = _window(placed if bool(placed.isfinite().any()) else seen, size)
    canvas = _canvas(SIZE) if picture is None else _cut(picture, left, top, scale)
    # pixel centres are at whole numbers, before and after
    moved = [(part + 0.5 - torch.tensor([left, top])) * scale - 0.5 for part in (seen, placed)]
    _draw_bones(canvas, moved[1], evidence.skeleton)
    _draw_detections(canvas, moved[0])
    median = _median_error(evidence.comparison, frame, view)
    return Overlay(camera.name, evidence.session.first_frame + frame, median, canvas, picture is not None)


def _median_error(comparison: Reprojection | None, frame: int, view: int) -> float:
    if comparison is None or not bool(comparison.used[frame, view].any()):
        return float("nan")
    return float(comparison.errors[frame, view][comparison.used[frame, view]].median())


def _size(evidence: SessionEvidence, view: int) -> tuple[int, int]:
    """Width and height of the camera's images, from the video, the calibration or the detections."""
    said = evidence.session.cameras[view].size
    if said is not None:
        return said
    if evidence.calibration is not None and bool(evidence.calibration.cameras.size[view].isfinite().all()):
        width, height = evidence.calibration.cameras.size[view].tolist()
        return int(width), int(height)
    assert evidence.pixels is not None  # without a calibration nothing is projected either
    width, height = evidence.pixels[:, view].nan_to_num(0.0).flatten(0, 1).amax(dim=0).tolist()
    return int(width) + 1, int(height) + 1


def _window(points: Float[Tensor, "points 2"], size: tuple[int, int]) -> tuple[float, float, float]:
    """Left, top and scale of the part of the image to show: around the person, never tiny."""
    inside = points[((points > -0.5) & (points < torch.tensor(size).float())).all(dim=-1)]
    if not len(inside):
        inside = torch.tensor([[0.0, 0.0], [float(size[0]), float(size[1])]])
    low, high = inside.amin(dim=0), inside.amax(dim=0)
    width, height = (1.35 * (high - low)).tolist()
    tall = max(height, width * SIZE[1] / SIZE[0], 0.2 * size[1])
    scale = SIZE[1] / tall
    middle = ((low + high) / 2).tolist()
    return middle[0] - SIZE[0] / scale / 2, middle[1] - tall / 2, scale


def _cut(picture: np.ndarray, left: float, top: float, scale: float) -> np.ndarray:
    """The window of the picture at SIZE; outside the image is canvas."""
    matrix = np.array([[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5]])
    if scale < 0.5:  # linear interpolation would skip pixels
        picture = cv2.blur(picture, (round(1 / scale), round(1 / scale)))
    return np.ascontiguousarray(
        cv2.warpAffine(picture, matrix, SIZE, flags=cv2.INTER_LINEAR, borderValue=CANVAS)
    )


def _canvas(size: tuple[int, int]) -> np.ndarray:
    return np.full((size[1], size[0], 3), CANVAS, dtype=np.uint8)


def _draw_bones(canvas: np.ndarray, points: Tensor, skeleton: Skeleton) -> None:
    """The reprojected skeleton, with a dark edge so that it shows on any background."""
    for edge, width in ((True, 8), (False, 4)):
        for (parent, child), colour in zip(skeleton.bone_indices, bone_colours(skeleton), strict=True):
            ends = points[[parent, child]]
            if bool(ends.isfinite().all()):
                cv2.line(
                    canvas, _at(ends[0]), _at(ends[1]), (0, 0, 0) if edge else colour, width, cv2.LINE_AA
                )
    for point, joint in zip(points, skeleton.joints, strict=True):
        if bool(point.isfinite().all()):
            cv2.circle(canvas, _at(point), 5, side_colour(joint), -1, cv2.LINE_AA)


def _draw_detections(canvas: np.ndarray, points: Tensor) -> None:
    """What the detector saw: open rings."""
    rings: list[tuple[RGB, int]] = [((0, 0, 0), 4), (DETECTION, 2)]
    for colour, width in rings:
        for point in points:
            if bool(point.isfinite().all()):
                cv2.circle(canvas, _at(point), 9, colour, width, cv2.LINE_AA)


def _at(point: Tensor) -> tuple[int, int]:
    x, y = point.clamp(-30_000, 30_000).round().int().tolist()
    return x, y
