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
from coview.formats.session.session import Session
from coview.geometry.self_calibration.track_interpolation import read_at, without_jumps

# times read at once: bounds memory
_CHUNK = 4096
# of the extent of what a camera saw: so far from its neighbours in time, a detection says nothing of them
_JUMP = 0.05


def session_tracks(
    session: Session, clocks: Mapping[str, Clock] | None = None, *, person: int = 1
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """One person's pixels (as filmed; NaN: not seen) and confidence, every view at the reference's frames.

    Of several people (`coview associate`) it is `person`, by default who is seen most. `clocks`: by default
    those of the session's calibration; without one every camera is taken to be on time.
    A camera that is on time gives its frames as they are. Another gives, for each frame of the reference,
    its nearest picture, moved to that time as its own neighbours in time move (see `read_at`): not seen
    where that picture did not see it, where it jumps away from its neighbours, or before the camera began.
    Raises ValueError where a camera's clock shares no time with the reference's recording."""
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
    """The clocks of its calibration; none (all on time) where it is not calibrated."""
    return session.calibration().clocks if session.calibration_path.is_file() else {}


def nearest_pictures(session: Session) -> Int[Tensor, "frames views"]:
    """The number of each camera's own picture nearest to the reference's frames; -1 where it has none."""
    places = frame_places(session_clocks(session), session.camera_names, session.frames, session.fps).round()
    return torch.where((places >= 0) & (places < session.frames), places, -1).long()


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
