"""The intrinsics and image sizes of a session's cameras, from its calibration or from the one that it came with."""

from pathlib import Path

from coview.formats.calibration.calibration import Calibration, calibration_for, read_calibration
from coview.formats.session.session import Session


def has_intrinsics(session: Session) -> bool:
    """Whether a session is calibrated, or was imported with a calibration file that is still there.

    Args:
        session: A session, calibrated or not.

    Returns:
        Whether `known_cameras` finds cameras.
    """
    return session.calibration_path.is_file() or _given(session) is not None


def known_cameras(session: Session) -> Calibration | None:
    """The session's own calibration, else the intrinsics of the one it came with.

    Args:
        session: A session, calibrated or not.

    Returns:
        The cameras in the session's order. Extrinsics of a file that the session only came with are NaN: they may be
        those of another day. None where neither file is there.

    Raises:
        ValueError: Where a file is damaged, or of other cameras.
    """
    if session.calibration_path.is_file():
        own = session.calibration()
        return own if own.has_extrinsics else own.without_extrinsics()
    given = _given(session)
    if given is None:
        return None
    sizes = dict(zip(session.camera_names, session.sizes, strict=True))
    intrinsics = read_calibration(given, sizes=sizes, intrinsics_only=True)
    return calibration_for(intrinsics, session.camera_names, session.sizes).without_extrinsics()


def image_sizes(session: Session) -> tuple[tuple[int, int] | None, ...]:
    """Width and height of every camera's images.

    Args:
        session: A session, calibrated or not.

    Returns:
        Pixels, in the session's order: as recorded, else as `known_cameras` has them; None where neither says it.

    Raises:
        ValueError: Where a size has to come from a calibration that is damaged, or of other cameras.
    """
    if None not in session.sizes or (given := known_cameras(session)) is None:
        return session.sizes
    return tuple(
        size or (round(width), round(height))
        for size, (width, height) in zip(session.sizes, given.cameras.size.tolist(), strict=True)
    )


def _given(session: Session) -> Path | None:
    """The calibration file that the session came with, if it is still there."""
    source = session.provenance.get("calibration_source")
    return Path(source) if source is not None and Path(source).is_file() else None
