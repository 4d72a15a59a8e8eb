"""Videos and pictures of a board, camera by camera, and which frames are of one instant."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coview.errors import InputError, MissingFileError
from coview.formats.io.camera_names import listed, match_names, natural_key
from coview.formats.io.text import read_text
from coview.formats.io.video import ENDINGS as VIDEO_ENDINGS

PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
# of Caliscope: which frames are of one instant
TIMES = "timestamps.csv"
_SHARED, _ALONE = ("extrinsic", "extrinsics"), ("intrinsic", "intrinsics")
_ADDED = re.compile(r"^(int|ext|calib)[_-]|[_-](int|ext|img|calib|intrinsics?|extrinsics?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Film:
    """What one camera filmed of the board: one video, or pictures in their order."""

    # name of the camera
    camera: str
    # one video, or pictures in order
    files: tuple[Path, ...]

    @property
    def is_video(self) -> bool:
        """Whether it is a video rather than pictures."""
        return self.files[0].suffix.casefold() in VIDEO_ENDINGS


def board_folders(folder: Path) -> tuple[Path, Path | None]:
    """Find the folders of a project of Caliscope or Pose2Sim (calibration/extrinsic…, calibration/intrinsic…).

    Args:
        folder: The project, or a folder of videos itself.

    Returns:
        The folder where cameras see the board at once, and the one for their intrinsics alone, if there is one.
    """
    for base in (folder, folder / "calibration", folder / "calib_images"):
        shared = next((base / name for name in _SHARED if (base / name).is_dir()), None)
        alone = next((base / name for name in _ALONE if (base / name).is_dir()), None)
        if shared is not None:
            return shared, alone
    return folder, None


def find_films(folder: Path) -> dict[str, Film]:
    """Find the film of every camera: <camera>.mp4, a folder <camera>/ with a video or pictures, or one <camera>.png.

    Args:
        folder: The folder.

    Returns:
        Per camera.

    Raises:
        MissingFileError: Where there is no such folder.
        InputError: Where it holds none, or several of one camera; the message says what is expected.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f"no folder {folder} with videos or pictures of the board.")
    entries = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".")),
        key=lambda p: natural_key(p.name),
    )
    films = [
        film
        for path in entries
        if (film := _of_folder(path) if path.is_dir() else _of_file(path)) is not None
    ]
    if not films:
        raise InputError(
            f"{folder} holds no videos or pictures of a board. Expected: one video per camera (<camera>.mp4), one "
            f"folder of pictures or one picture per camera (<camera>/*.jpg, <camera>.png)."
        )
    names = [film.camera for film in films]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(
            f"{folder}: more than one video or folder is of camera {listed(doubled)}. Pictures of one camera go "
            f"into a folder of its name; remove what is not of the board."
        )
    return dict(zip(names, films, strict=True))


def films_of(found: dict[str, Film], names: Sequence[str], folder: Path) -> dict[str, Film]:
    """Match films to cameras by name.

    Args:
        found: The films, by the name of their file.
        names: Names of the cameras.
        folder: Where the films are, for the message.

    Returns:
        Per camera; cameras without a film are left out.

    Raises:
        InputError: Where no name matches.
    """
    matched = match_names(list(names), list(found))
    if not matched:
        raise InputError(
            f"{folder} has videos or pictures of {listed(found)}, and the cameras are {listed(names)}: no name "
            f"matches. Rename the files; coview never matches by position."
        )
    return {name: Film(name, found[matched[name]].files) for name in names if name in matched}


def instants(folder: Path, cameras: Sequence[str], counts: Sequence[int]) -> list[dict[int, int]] | None:
    """Read from Caliscope's timestamps.csv which frames are of one instant.

    The rows of a camera are its frames, in order; a `sync_index` gives the instant, else frames go with the nearest in
    time of the first camera.

    Args:
        folder: Where the file may be.
        cameras: Names of the cameras.
        counts: Number of frames of every camera.

    Returns:
        Per camera: from frame number to instant; None where there is no such file.

    Raises:
        InputError: Where its columns are missing, or rows and frames differ in number.
    """
    path = Path(folder) / TIMES
    if not path.is_file():
        return None
    rows = list(csv.DictReader(read_text(path).splitlines()))
    if not rows or not {"cam_id", "frame_time"} <= rows[0].keys():
        raise InputError(
            f"{path}: the columns cam_id and frame_time are missing, so it says nothing of time."
        )
    by_camera: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_camera.setdefault(f"cam_{row['cam_id']}", []).append(row)
    matched = match_names(list(cameras), list(by_camera))
    said = []
    for camera, count in zip(cameras, counts, strict=True):
        mine = by_camera.get(matched.get(camera, ""), [])
        mine.sort(key=lambda row: float(row["frame_time"]))
        if len(mine) != count:
            raise InputError(
                f"{path} has {len(mine)} rows of camera '{camera}' and its video {count} frames, so nobody knows which "
                f"frame is when. Remove the file to go by frame numbers, or restore the one of these videos."
            )
        said.append(mine)
    if "sync_index" in rows[0]:
        first = min(int(row["sync_index"]) for row in rows)
        return [{number: int(row["sync_index"]) - first for number, row in enumerate(mine)} for mine in said]
    times = [np.array([float(row["frame_time"]) for row in mine]) for mine in said]
    return [_nearest(times[0], mine) for mine in times]


def _nearest(reference: np.ndarray, mine: np.ndarray) -> dict[int, int]:
    """For each of the reference's times the nearest of mine, within half a period, each used once."""
    period = float(np.median(np.diff(reference))) if len(reference) > 1 else np.inf
    off = np.abs(mine[:, None] - reference)
    number = off.argmin(axis=0)
    return {
        int(n): instant
        for instant, n in enumerate(number)
        if off[n, instant] <= period / 2 and off[n].argmin() == instant
    }


# --- parts ---------------------------------------------------------------------------------------


def _of_folder(folder: Path) -> Film | None:
    files = sorted(
        (p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")),
        key=lambda p: natural_key(p.name),
    )
    videos = [p for p in files if p.suffix.casefold() in VIDEO_ENDINGS]
    pictures = [p for p in files if p.suffix.casefold() in PICTURE_ENDINGS]
    if len(videos) > 1 or (videos and pictures):
        raise InputError(
            f"{folder} holds several videos, or videos and pictures; of one camera it takes one kind."
        )
    chosen = tuple(videos or pictures)
    return Film(_camera(folder.name), chosen) if chosen else None


def _of_file(path: Path) -> Film | None:
    endings = VIDEO_ENDINGS | PICTURE_ENDINGS
    return Film(_camera(path.stem), (path,)) if path.suffix.casefold() in endings else None


def _camera(name: str) -> str:
    """Name of the camera in a file name, without what programs add: int_cam01_img is cam01."""
    while (shorter := _ADDED.sub("", name)) not in (name, ""):
        name = shorter
    return name
