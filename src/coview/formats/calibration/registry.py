"""The calibration formats that coview reads, and the recognition of a file's format from its content."""

from pathlib import Path

from coview.errors import InputError, MissingFileError
from coview.formats.calibration.anipose import ANIPOSE, CALISCOPE
from coview.formats.calibration.biocv import BIOCV
from coview.formats.calibration.camera_json import ASSOCIATION, VOXELPOSE
from coview.formats.calibration.colmap import COLMAP
from coview.formats.calibration.easymocap import EASYMOCAP
from coview.formats.calibration.file_camera import CalibrationFormat, FileCalibration
from coview.formats.calibration.opencap import OPENCAP
from coview.formats.calibration.opencv import OPENCV
from coview.formats.calibration.panoptic import PANOPTIC
from coview.formats.calibration.qualisys import QUALISYS
from coview.formats.calibration.vicon import VICON
from coview.formats.io.camera_names import listed
from coview.formats.io.damage import reader

# In the order in which a file is tried: what is certain from the content comes before what goes by the name.
FORMATS: tuple[CalibrationFormat, ...] = (
    *(
        COLMAP,
        QUALISYS,
        VICON,
        CALISCOPE,
        EASYMOCAP,
        OPENCV,
        BIOCV,
        OPENCAP,
        VOXELPOSE,
        ASSOCIATION,
        PANOPTIC,
        ANIPOSE,
    ),
)


@reader("a calibration")
def read_calibration_file(path: Path) -> FileCalibration:
    """Read a calibration file in the format that its content shows.

    Args:
        path: The file, or the folder where a format has several files.

    Returns:
        The cameras in the file's unit, not yet checked.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: No format is recognised (the message lists all), or the file is damaged.
    """
    return format_of(path).read(path)


@reader("a calibration")
def format_of(path: Path) -> CalibrationFormat:
    """The format of a calibration file, from its content.

    Args:
        path: The file, or the folder where a format has several files.

    Returns:
        The first of `FORMATS` that recognises it.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: No format is recognised; the message lists all.
    """
    if not path.exists():
        raise MissingFileError(f"no file {path}.")
    text = _beginning(path)
    found = next((form for form in FORMATS if form.recognises(path, text)), None)
    if found is None:
        there = f" It holds: {listed(p.name for p in path.iterdir())}." if path.is_dir() else ""
        raise InputError(
            f"{path} is no calibration that coview knows.{there} Understood are "
            f"{', '.join(form.title for form in FORMATS)}."
        )
    return found


def _beginning(path: Path) -> str:
    """Enough of a file to recognise it; nothing of a folder, or of a binary file."""
    if path.is_dir():
        return ""
    with path.open("rb") as file:
        data = file.read(1 << 16)
    return "" if b"\0" in data else data.decode("utf-8-sig", "replace")
