"""COLMAP's cameras.bin and images.bin: little-endian, without padding."""

import struct
from pathlib import Path
from typing import Any

from coview.errors import InputError

# name and number of parameters of every camera model, by COLMAP's number for it
MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}
# bytes of a 2D point: x, y, number of its 3D point
_POINT = 24

# model, width, height, parameters
Lens = tuple[str, int, int, list[float]]
# qw qx qy qz tx ty tz, number of its camera, file name of its image
View = tuple[list[float], int, str]


class _Bytes:
    """A cursor that says where a file ended too early."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.at = path, path.read_bytes(), 0

    def take(self, layout: str) -> tuple[Any, ...]:
        try:
            values = struct.unpack_from(f"<{layout}", self.data, self.at)
        except struct.error as error:
            raise InputError(f"{self.path} ends in the middle, at byte {self.at}: {_CUT}") from error
        self.at += struct.calcsize(f"<{layout}")
        return values

    def text(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise InputError(f"{self.path} ends in the middle of a name: {_CUT}")
        found = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return found


_CUT = "copy it again, or export the model as text (`colmap model_converter --output_type TXT`)."


def read_cameras(path: Path) -> dict[int, Lens]:
    """Read the intrinsics of a cameras.bin.

    Args:
        path: The file.

    Returns:
        Model, width, height and parameters by COLMAP's number of the camera.

    Raises:
        ValueError: The file is cut short, or a camera model is unknown.
    """
    file = _Bytes(path)
    found = {}
    [count] = file.take("Q")
    for _ in range(count):
        number, model, width, height = file.take("iiQQ")
        if model not in MODELS:
            raise InputError(
                f"{path}: camera {number} has the model number {model}, which this coview does not know. Undistort "
                f"the images in COLMAP, or export the model as text."
            )
        name, parameters = MODELS[model]
        found[number] = (name, width, height, list(file.take(f"{parameters}d")))
    return found


def read_images(path: Path) -> list[View]:
    """Read the pose of every image of an images.bin; its 2D points are skipped.

    Args:
        path: The file.

    Returns:
        Per image: quaternion (w, x, y, z) and translation of camera from world, number of its camera, file name.

    Raises:
        ValueError: The file is cut short.
    """
    file = _Bytes(path)
    found = []
    [count] = file.take("Q")
    for _ in range(count):
        _, *pose, camera = file.take("I7dI")
        found.append((pose, camera, file.text()))
        [points] = file.take("Q")
        file.at += points * _POINT
    return found
