"""The 3D joints of a session for other programs: TRC, C3D, CSV, npz."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

from coview.formats.c3d import write_c3d
from coview.formats.poses3d import Poses3D, write_npz
from coview.formats.session import Session
from coview.formats.table import write_csv
from coview.formats.trc import write_trc

Format = Literal["trc", "c3d", "csv", "npz"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export_session(
    session: Session, formats: Sequence[Format] = FORMATS, *, trc_units: Literal["m", "mm"] = "m"
) -> list[Path]:
    """Write `exports/<session>.<format>` for each format and return the paths.

    Each file is replaced as a whole or not at all. Raises ValueError for an unknown format or where no
    joint is known in any frame, FileNotFoundError where nothing was reconstructed, ImportError where C3D
    needs a package, OSError on a full disk (earlier exports stay)."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"cannot export to {', '.join(unknown) or 'nothing'}. Known: {', '.join(FORMATS)}.")
    poses = session.poses3d()
    if not bool(poses.points.isfinite().all(dim=-1).any()):
        raise ValueError(
            f"session {session.path} has {len(poses.points)} frames and not one known 3D joint, so there is "
            f"nothing to export. Look at the reprojection error in the report, and calibrate again."
        )
    write: dict[Format, Callable[[Poses3D, Path], None]] = {
        "trc": lambda poses, path: write_trc(poses, path, units=trc_units),
        "c3d": write_c3d,
        "csv": write_csv,
        "npz": write_npz,
    }
    paths = [session.exports_dir / f"{session.name}.{name}" for name in formats]
    for name, path in zip(formats, paths, strict=True):
        write[name](poses, path)
    return paths
