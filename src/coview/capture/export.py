"""The 3D joints of a session for other programs: TRC, C3D, CSV, npz."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

from coview.errors import InputError
from coview.formats.motion.c3d import write_c3d
from coview.formats.motion.csv import write_csv
from coview.formats.motion.poses3d import Poses3D, write_npz
from coview.formats.motion.trc import write_trc
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.session import Session

Format = Literal["trc", "c3d", "csv", "npz"]
FORMATS: tuple[Format, ...] = get_args(Format)


@one_at_a_time
def export_session(
    session: Session, formats: Sequence[Format] = FORMATS, *, trc_units: Literal["m", "mm"] = "m"
) -> list[Path]:
    """Write the 3D joints of a session for other programs.

    Each file is replaced as a whole or not at all; after an error earlier exports stay.

    Args:
        session: The session; `exports/<session>.<format>` is written for person 1 and
            `exports/<session>_person<n>.<format>` for every further person who was reconstructed.
        formats: Formats to write.
        trc_units: Unit of length of TRC files; the others are in metres.

    Returns:
        The paths written.

    Raises:
        InputError: For an unknown format, or where no joint is known in any frame.
        MissingFileError: Where nothing was reconstructed.
        ImportError: Where C3D needs a package that is not installed.
        OSError: On a full disk.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise InputError(f"cannot export to {', '.join(unknown) or 'nothing'}. Known: {', '.join(FORMATS)}.")
    everybody = _reconstructed(session)
    write: dict[Format, Callable[[Poses3D, Path], None]] = {
        "trc": lambda poses, path: write_trc(poses, path, units=trc_units),
        "c3d": write_c3d,
        "csv": write_csv,
        "npz": write_npz,
    }
    paths = []
    for person, poses in everybody.items():
        stem = session.name if person == 1 else f"{session.name}_person{person}"
        for name in formats:
            paths.append(session.exports_dir / f"{stem}.{name}")
            write[name](poses, paths[-1])
    return paths


def _reconstructed(session: Session) -> dict[int, Poses3D]:
    """The 3D joints of everybody who has some, by number; of person 1 in any case."""
    people = session.people()
    numbers = range(1, 2 if people is None else people.count + 1)
    there = [person for person in numbers if person == 1 or session.poses3d_path_of(person).is_file()]
    everybody = {person: session.poses3d(person) for person in there}
    if not bool(everybody[1].points.isfinite().all(dim=-1).any()):
        raise InputError(
            f"session {session.path} has {len(everybody[1].points)} frames and not one known 3D joint, so there is "
            f"nothing to export. Look at the reprojection error in the report, and calibrate again."
        )
    return everybody
