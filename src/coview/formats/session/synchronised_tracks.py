"""A session's 2D joints with all views at the same times; everything that compares views reads them here.

The tracks of a camera that began after the reference, or whose clock drifts, are interpolated at the reference's
times, so that frame i means the same instant in every view: i / fps of the reference clock. `Session.detections`
instead gives each camera's own frames.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError
from coview.formats.calibration.clock import SYNCHRONOUS, Clock, frame_places
from coview.formats.io.video import presentation_times
from coview.formats.session.session import Session, SessionCamera
from coview.geometry.self_calibration.track_interpolation import read_at, without_jumps

# number of times interpolated at once, which bounds memory
_CHUNK = 4096
# a detection farther from its neighbours in time is an outlier; share of the extent of all detections of the camera
_JUMP = 0.05


def session_tracks(
    session: Session, clocks: Mapping[str, Clock] | None = None, *, person: int = 1
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """One person's 2D joints, with every view at the times of the reference's frames.

    A camera that is synchronous gives its frames as they are. Any other gives, for each frame of the reference, its
    nearest frame, moved to that time along the joint's motion in that view (`read_at`).

    Args:
        session: The session.
        clocks: Clocks by camera name. Default: those of the session's calibration; without one, all are synchronous.
        person: Number of the person where there are several; 1 is the one who is seen most.

    Returns:
        Pixels of shape (frames, views, joints, 2), distorted as filmed, and confidence of shape (frames, views,
        joints). NaN and 0 where the nearest frame does not see the joint, where it jumps away from its neighbours in
        time, and while the camera did not record.

    Raises:
        ValueError: A camera's clock shares no time with the reference's recording, or there is no such person.
    """
    joints, confidence = session.followed(person)
    pixels, weights = joints.transpose(0, 1), confidence.transpose(0, 1)
    clock_of = session_clocks(session) if clocks is None else clocks
    shifted = [
        view for view, name in enumerate(session.camera_names) if not clock_of.get(name, SYNCHRONOUS).is_zero
    ]
    if not shifted:
        return pixels, weights
    names = [session.camera_names[view] for view in shifted]
    places = frame_places(clock_of, names, len(pixels), session.fps)
    _check_overlap(session, names, places)
    read, read_weights = _read(pixels[:, shifted].double(), weights[:, shifted].double(), places)
    pixels, weights = pixels.clone(), weights.clone()
    pixels[:, shifted], weights[:, shifted] = read.to(pixels), read_weights.to(weights)
    return pixels, weights


def session_clocks(session: Session) -> dict[str, Clock]:
    """The clocks of a session's calibration.

    Args:
        session: The session.

    Returns:
        Clocks by camera name; empty (all synchronous) where it is not calibrated.
    """
    return session.calibration().clocks if session.calibration_path.is_file() else {}


def nearest_pictures(session: Session) -> Int[Tensor, "frames views"]:
    """Number of the picture of each camera's video that is nearest in time to each frame of the reference.

    Args:
        session: The session.

    Returns:
        Shape (frames, views), numbers from 0 at the beginning of the video; -1 where the camera did not record.
    """
    places = frame_places(session_clocks(session), session.camera_names, session.frames, session.fps)
    numbers = torch.stack(
        [
            _pictures(camera, column, session.fps)
            for camera, column in zip(session.cameras, places.T, strict=True)
        ],
        dim=-1,
    )
    recorded = (places.round() >= 0) & (places.round() < session.frames) & (numbers >= 0)
    return torch.where(recorded, numbers, -1)


def _pictures(camera: SessionCamera, places: Float[Tensor, "frames"], fps: float) -> Int[Tensor, "frames"]:
    """Numbers of the pictures at fractional frames of a camera."""
    wanted = places + camera.first_picture
    if not camera.by_time or camera.video is None or not camera.video.is_file():
        return wanted.round().long()
    times = torch.from_numpy(presentation_times(camera.video)) * fps
    after = torch.searchsorted(times, wanted).clamp(1, max(1, len(times) - 1))
    after = after.clamp(max=len(times) - 1)
    before = (after - 1).clamp(min=0)
    nearest = torch.where((wanted - times[before]) <= (times[after] - wanted), before, after)
    return torch.where((wanted < -0.5) | (wanted > times[-1] + 0.5), -1, nearest)


def _read(
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    places: Float[Tensor, "frames views"],
) -> tuple[Tensor, Tensor]:
    seen = pixels[pixels.isfinite().all(dim=-1)]
    extent = float((seen.amax(dim=0) - seen.amin(dim=0)).norm()) if len(seen) else 1.0
    weights = without_jumps(pixels, weights, _JUMP * extent)
    parts = [read_at(pixels, weights, part) for part in places.split(_CHUNK)]
    return torch.cat([part.pixels for part in parts]), torch.cat([part.weights for part in parts])


def _check_overlap(session: Session, names: Sequence[str], places: Float[Tensor, "frames views"]) -> None:
    inside = ((places > -0.5) & (places < len(places) - 0.5)).any(dim=0)
    apart = [name for name, some in zip(names, inside.tolist(), strict=True) if not some]
    if apart:
        raise InputError(
            f"session {session.path}: by its calibration's clock, camera {', '.join(apart)} recorded nothing at the "
            f"time of the first camera's {len(places)} frames. Clocks belong to one recording: calibrate this session "
            f"itself (`coview calibrate people {session.path}`)."
        )
