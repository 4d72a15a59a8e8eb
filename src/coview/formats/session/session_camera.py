"""One camera of a session, and its table in `session.toml`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coview.errors import InputError
from coview.formats.keypoints.view_joints import LARGEST

# becomes a file name, on any disk: no separators of folders, no leading dot, nothing that cannot be seen
_SAFE_NAME = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]*")
# bytes that a disk has room for, with an ending
_LONGEST_NAME = 200


@dataclass(frozen=True)
class SessionCamera:
    """One camera of a session, as recorded (not its calibration)."""

    # unique in the session; a valid file name
    name: str
    # width, height of its images in pixels, as video, joint file or calibration say at import; None: unknown
    size: tuple[int, int] | None
    # its video; None: only 2D joints are known
    video: Path | None
    # number of frames of 2D joints; the same for all cameras of a session
    frames: int
    # number, from 0, of the picture of its video that the session's first frame shows; below 0: its video begins after
    first_picture: int = 0
    # whether its 2D joints were moved to the session's instants by its video's presentation times, so that pictures
    # are found by their time and not by their number
    by_time: bool = False

    def __post_init__(self) -> None:
        if not _SAFE_NAME.fullmatch(self.name) or len(self.name.encode()) > _LONGEST_NAME:
            raise InputError(
                f"camera name {self.name!r} cannot be a file name: it is empty, begins with a dot, is longer than "
                f"{_LONGEST_NAME} bytes, or has a slash or a control character. Rename the folder or file it came from."
            )
        if not 0 <= self.frames < 2**31 or not all(1 <= side <= LARGEST for side in self.size or ()):
            raise InputError(
                f"camera '{self.name}' has {self.frames} frames of size {self.size}, and no recording has such."
            )


def camera_to_table(camera: SessionCamera, folder: Path) -> dict[str, Any]:
    """The camera as a table for TOML.

    Args:
        camera: The camera.
        folder: The session's folder, to which the path of its video is relative where it is inside.

    Returns:
        The table; None for what is not known.
    """
    return {
        "name": camera.name,
        "size": None if camera.size is None else list(camera.size),
        "video": None if camera.video is None else _written_path(camera.video, folder),
        "frames": camera.frames,
        "first_picture": camera.first_picture,
        "by_time": camera.by_time,
    }


def _written_path(video: Path, folder: Path) -> str:
    """Relative to the session where the video is inside it (so that the folder can move), else absolute."""
    video, folder = Path(os.path.abspath(video)), Path(os.path.abspath(folder))
    return (video.relative_to(folder) if video.is_relative_to(folder) else video).as_posix()


def camera_from_table(row: dict[str, Any], folder: Path) -> SessionCamera:
    """Read a camera from a table of TOML; the inverse of `camera_to_table`.

    Args:
        row: The table.
        folder: The session's folder.

    Returns:
        The camera.

    Raises:
        KeyError: Something is missing.
        ValueError: Something is no number, or the name cannot be a file name.
    """
    size = row.get("size")
    video = row.get("video")
    return SessionCamera(
        name=row["name"],
        size=None if size is None else (int(size[0]), int(size[1])),
        # an absolute path replaces the folder
        video=None if video is None else folder / video,
        frames=int(row["frames"]),
        first_picture=int(row.get("first_picture", 0)),
        by_time=bool(row.get("by_time", False)),
    )
