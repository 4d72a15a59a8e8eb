"""Writing a session's calibration; exports and reports of the earlier one are removed."""

from dataclasses import replace

from coview.errors import CoviewError
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.session.session import Session


def install_calibration(session: Session, calibration: Calibration) -> Calibration:
    """Write `calibration.toml` of a session and remove files that show other cameras than these without saying so.

    3D joints stay: they carry the hash of their calibration, and are refused until they are made again.

    Args:
        session: The session.
        calibration: Its cameras, in the session's order and for its image sizes.

    Returns:
        The calibration as written: its notes are part of its provenance.

    Raises:
        OSError: Where it cannot be written; then the earlier one is untouched.
    """
    noted = with_notes(calibration)
    before = _fingerprint(session)
    write_calibration(noted, session.calibration_path)
    if before is not None and before != _fingerprint(session):
        session.remove_shown("calibrate")
    return noted


def with_notes(calibration: Calibration) -> Calibration:
    """Copy the notes of a calibration into its provenance, so that they are written with it.

    Args:
        calibration: The calibration.

    Returns:
        The same calibration with the notes in its provenance.
    """
    if not calibration.notes:
        return calibration
    return replace(calibration, provenance={**calibration.provenance, "notes": " | ".join(calibration.notes)})


def _fingerprint(session: Session) -> str | None:
    """Of the calibration that is there; None where there is none, "" where it cannot be used."""
    if not session.calibration_path.is_file():
        return None
    try:
        return session.calibration().fingerprint
    except CoviewError:
        return ""
