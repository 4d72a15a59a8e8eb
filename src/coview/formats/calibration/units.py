"""The unit of length of a calibration file: stated by the file, given by the user, or inferred and noted."""

from pathlib import Path
from typing import Literal

import numpy as np

from coview.errors import InputError
from coview.formats.calibration.file_camera import FileCalibration

Units = Literal["m", "cm", "mm"]
_METRES: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_SAY = "If that is wrong, give --units to `coview calibrate` or `calib convert`."


class AmbiguousUnitsError(InputError):
    """The file states no unit of length and its numbers fit none well."""


def metres_per_unit(file: FileCalibration, units: Units | None, path: Path) -> tuple[float | None, str]:
    """The factor from a calibration file's unit of length to metres, and where it comes from.

    A unit that neither file nor user states is inferred from the median distance between cameras: 0.5 to 50 means
    metres, 500 to 50000 millimetres.

    Args:
        file: The cameras as read.
        units: The unit given by the user; None: none.
        path: The file, for messages.

    Returns:
        Metres per unit (None where the file holds intrinsics only), and the reason in words.

    Raises:
        ValueError: The unit is unknown, contradicts the file's, or implies cameras less than 1 cm or more than 1 km
            apart.
        AmbiguousUnitsError: Nothing states the unit, and it cannot be inferred.
    """
    if any(camera.translation is None for camera in file.cameras):
        return None, "no lengths: the file holds intrinsics only"
    if file.units is not None:
        if file.units not in _METRES:
            raise InputError(f"{path}: units are '{file.units}'; understood are {', '.join(_METRES)}.")
        if units is not None and units != file.units:
            raise InputError(
                f"{path} states its lengths in {file.units}, and --units says {units}. Drop one."
            )
        return _METRES[file.units], f"{file.units}, as stated by the file or its format"
    if units is not None:
        _check_plausible(file, units, path)
        return _METRES[units], f"{units}, as given by --units"
    if not file.scale_known:
        raise AmbiguousUnitsError(
            f"{path}: a {file.format} has no scale, so its lengths are in no unit and none can be guessed. If you "
            f"scaled it yourself, pass --units m, --units cm or --units mm. Else take its intrinsics alone and "
            f"place the cameras with `coview calibrate people SESSION`, which finds the scale too."
        )
    return _inferred(file, path)


def _check_plausible(file: FileCalibration, units: Units, path: Path) -> None:
    distance = _camera_distance(file) * _METRES[units]
    if len(file.cameras) > 1 and not 0.01 <= distance <= 1000:
        raise InputError(
            f"{path}: with --units {units} its cameras would be {distance:.3g} m apart (median), and everything seen "
            f"would have the wrong size. Measure the distance of two cameras and give the unit that fits it."
        )


def _inferred(file: FileCalibration, path: Path) -> tuple[float, str]:
    distance = _camera_distance(file)
    fact = f"{path.name} states no unit; its cameras are {distance:.4g} apart (median)"
    if 0.5 <= distance <= 50:
        return 1.0, f"{fact}, so they were taken for metres. {_SAY}"
    if 500 <= distance <= 50_000:
        return 0.001, f"{fact}, so they were taken for millimetres. {_SAY}"
    raise AmbiguousUnitsError(
        f"{fact}: that fits no unit well (0.5–50 would be metres, 500–50000 millimetres). "
        f"Pass --units m, --units cm or --units mm."
    )


def _camera_distance(file: FileCalibration) -> float:
    """Median distance between two cameras, or from the origin to the only one; the file's unit."""
    centres = np.array([-c.rotation.T @ c.translation for c in file.cameras])  # type: ignore[union-attr]
    if len(centres) == 1:
        return float(np.linalg.norm(centres))
    first, second = np.triu_indices(len(centres), 1)
    return float(np.median(np.linalg.norm(centres[first] - centres[second], axis=-1)))
