"""The 2D joints of each camera in a folder: one file, or one file per frame, in any of the layouts that are read."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError, MissingFileError
from coview.formats.io.camera_names import natural_key
from coview.formats.io.text import read_json, read_text
from coview.formats.keypoints.coco import coco_people, is_coco_frame
from coview.formats.keypoints.easymocap import easymocap_people, easymocap_size, is_easymocap
from coview.formats.keypoints.files import ENDINGS, is_keypoint_file, read_keypoint_file
from coview.formats.keypoints.mmpose import is_mmpose_picture, mmpose_people
from coview.formats.keypoints.openpose import frame_files, people_of_frame, read_frame_files
from coview.formats.keypoints.ultralytics import is_ultralytics, ultralytics_people
from coview.formats.keypoints.view_joints import ViewJoints

# what programs add to a camera's name
_SUFFIXES = ("_json", "-json", "_keypoints", "_alphapose", "_labels", "_predictions", ".analysis")
_PREFIXES = ("results_", "alphapose-results_")
_SCORER = re.compile(r"DLC_.*$")
# folders within a camera's folder in which programs put what they found
_WITHIN = ("labels", "predictions", "json", "sep-json", "keypoints")
# folders that hold the joints of all cameras, and are none themselves
PLACES = frozenset(
    {
        "pose",
        "pose-associated",
        "pose-sync",
        "pose-2d",
        "pose-3d",
        "joints2d",
        "keypoints",
        "2d",
        "predictions",
    }
    | {"annots", "alphapose", "labels", "json", "calibration", "calib", "videos", "images"}
)
# cameras whose frames may lie in one folder
_MOST_CAMERAS = 64


@dataclass(frozen=True)
class _FrameFormat:
    """A layout with one file per frame."""

    title: str
    ending: str
    # from the parsed JSON, or the text
    recognises: Callable[[Any], bool]
    people: Callable[[Path], list[np.ndarray]]
    # what the first file says of all
    facts: Callable[[Path], dict[str, Any]] = lambda _: {}


def _is_openpose(content: Any) -> bool:
    return isinstance(content, dict) and ("people" in content or isinstance(content.get("bodies"), list))


_OPENPOSE = _FrameFormat(
    "OpenPose JSON", ".json", _is_openpose, lambda file: people_of_frame(read_json(file), file)
)
_FRAME_FORMATS = (
    _OPENPOSE,
    _FrameFormat(
        "EasyMocap's JSON",
        ".json",
        is_easymocap,
        lambda file: easymocap_people(read_json(file), file),
        lambda file: {"size": easymocap_size(read_json(file))},
    ),
    _FrameFormat(
        "MMPose's predictions of pictures",
        ".json",
        is_mmpose_picture,
        lambda file: mmpose_people(read_json(file), str(file)),
    ),
    _FrameFormat(
        "COCO results of pictures",
        ".json",
        is_coco_frame,
        lambda file: coco_people(read_json(file), file),
    ),
    _FrameFormat(
        "Ultralytics' labels", ".txt", is_ultralytics, ultralytics_people, lambda _: {"normalised": "unit"}
    ),
)


@dataclass(frozen=True)
class JointSource:
    """The files with the 2D joints of one camera."""

    # the file, or the folder of the files of single frames
    path: Path
    # in natural order
    files: tuple[Path, ...]
    # None: one file with all frames
    form: _FrameFormat | None = None

    @property
    def title(self) -> str:
        """The layout, in words."""
        return "2D joints" if self.form is None else self.form.title

    def read(self) -> ViewJoints:
        """Read all frames.

        Returns:
            The joints as the files have them.

        Raises:
            ValueError: A file is damaged, or nobody is in any frame; the message names it.
        """
        if self.form is None:
            return read_keypoint_file(self.path)
        facts = self.form.facts(self.files[0]) if self.files else {}
        return read_frame_files(self.files, self.path, self.form.people, **facts)


def source_at(path: Path) -> JointSource:
    """The 2D joints of one camera.

    Args:
        path: A file with all frames, or a folder with one file per frame.

    Returns:
        Where they are, and how they are read.

    Raises:
        FileNotFoundError: There is nothing at `path`.
    """
    if path.is_dir():
        found = frames_within(path) or _file_within(path)
        return found or JointSource(path, tuple(frame_files(path)), _OPENPOSE)
    if not path.exists():
        raise MissingFileError(f"no file {path}.")
    return JointSource(path, (path,))


def sources_in(folder: Path) -> dict[str, JointSource]:
    """The cameras with 2D joints directly in a folder, by name.

    Folders of frames go first, then frames in one folder whose names tell the cameras apart, then one file per camera
    (of the kind of file of which most are there), then folders with one file each.

    Args:
        folder: The folder; it need not exist.

    Returns:
        In natural order of the names; empty where there are none.

    Raises:
        InputError: Two files or folders are of the same camera.
    """
    if not folder.is_dir():
        return {}
    entries = sorted(
        (p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name)
    )
    folders = [path for path in entries if path.is_dir() and path.name not in PLACES]
    return (
        _of_folders(folders, frames_within)
        or _mixed_frames(folder)
        or _single_files(entries)
        or _of_folders(folders, _file_within, fewest=2)
    )


def not_understood(folder: Path) -> str:
    """Files that may hold 2D joints and are in no layout that is read.

    Args:
        folder: The folder that was searched.

    Returns:
        Their endings and numbers, in words; empty where there are none.
    """
    endings: dict[str, list[str]] = {}
    found = islice((path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth)), _MOST_LISTED)
    for path in sorted(found, key=lambda path: natural_key(path.name)):
        if path.suffix.casefold() in _MAY_BE_JOINTS and path.is_file() and not path.name.startswith("."):
            endings.setdefault(path.suffix.casefold(), []).append(str(path.relative_to(folder)))
    return "; ".join(
        f"{len(names)} {'file' if len(names) == 1 else 'files'} *{ending} "
        f"({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for ending, names in endings.items()
    )


_MAY_BE_JOINTS = ENDINGS | {".pkl", ".pickle", ".npy", ".txt", ".slp", ".parquet", ".mat"}
# the folder given may be anybody's home
_MOST_LISTED = 10_000


def _of_folders(
    folders: list[Path], find: Callable[[Path], JointSource | None], fewest: int = 1
) -> dict[str, JointSource]:
    found = {path: source for path in folders if (source := find(path)) is not None}
    if len(found) < fewest:
        return {}
    return _by_camera({path: (path.name, source) for path, source in found.items()})


def frames_within(folder: Path) -> JointSource | None:
    """Frames of one camera in its folder.

    Args:
        folder: The folder; a sub-folder with a usual name (`labels`, `predictions`, ...) is looked into too.

    Returns:
        Where they are; None where there are none. A folder `<name>_json` without frames counts.
    """
    for place in _within(folder):
        form = _frame_format(place)
        if form is not None:
            return JointSource(place, tuple(frame_files(place, form.ending)), form)
    # a camera without frames is reported, not skipped
    return JointSource(folder, (), _OPENPOSE) if folder.name.endswith("_json") else None


def _file_within(folder: Path) -> JointSource | None:
    """The one file with all frames in a camera's folder, directly or one folder deeper."""
    for place in _within(folder):
        files = [path for path in place.iterdir() if _is_single(path)]
        if len(files) == 1:
            return JointSource(files[0], (files[0],))
    return None


def _within(folder: Path) -> list[Path]:
    return [folder, *(folder / name for name in _WITHIN if (folder / name).is_dir())]


def _frame_format(folder: Path) -> _FrameFormat | None:
    """The format of a folder of frames, from its first file. Broken JSON counts: reading it will say what is wrong."""
    for form in _FRAME_FORMATS:
        files = frame_files(folder, form.ending)
        if not files:
            continue
        try:
            content = read_json(files[0]) if form.ending == ".json" else read_text(_fullest(files))
        except ValueError:
            if form.ending == ".json":
                return _OPENPOSE
            continue
        if form.recognises(content):
            return form
    return None


def _fullest(files: list[Path]) -> Path:
    """The first file that is not empty."""
    return next((file for file in files if file.stat().st_size), files[0])


def _mixed_frames(folder: Path) -> dict[str, JointSource]:
    """Cameras whose frames lie in one folder and are told apart by what their names have before the number."""
    form = _frame_format(folder)
    files = frame_files(folder, form.ending) if form else []
    cameras: dict[str, list[Path]] = {}
    for file in files:
        stem = re.sub(r"[0-9]+$", "", file.stem.removesuffix("_keypoints"))
        cameras.setdefault(stem.rstrip("_-. ") or stem, []).append(file)
    if not 2 <= len(cameras) <= _MOST_CAMERAS or min(map(len, cameras.values())) < 2:
        return {}
    return _by_camera(
        {folder / name: (name, JointSource(folder, tuple(those), form)) for name, those in cameras.items()}
    )


def _single_files(entries: list[Path]) -> dict[str, JointSource]:
    kinds: dict[str, list[Path]] = {}
    for path in entries:
        if _is_single(path):
            kinds.setdefault(path.suffix.casefold(), []).append(path)
    if not kinds:
        return {}
    preferred = sorted(kinds, key=lambda kind: (".json", ".csv", ".npz", ".h5", ".hdf5").index(kind))
    most = max(preferred, key=lambda kind: len(kinds[kind]))
    return _by_camera({path: (path.stem, JointSource(path, (path,))) for path in kinds[most]})


def _is_single(path: Path) -> bool:
    return (
        path.suffix.casefold() in ENDINGS
        and path.is_file()
        and not path.name.startswith(".")
        and is_keypoint_file(path)
    )


def _by_camera(named: dict[Path, tuple[str, JointSource]]) -> dict[str, JointSource]:
    """Sources by camera; InputError where two are of the same camera."""
    cameras: dict[str, Path] = {}
    for path, (name, _) in named.items():
        twin = cameras.setdefault(_camera(name), path)
        if twin != path:
            raise InputError(
                f"{path.parent}: '{twin.name}' and '{path.name}' are both camera '{_camera(name)}'. "
                f"Rename or remove one; every camera needs a name of its own."
            )
    return {camera: named[path][1] for camera, path in cameras.items()}


def _camera(name: str) -> str:
    """The camera's name in the name of a file or folder of its joints."""
    shorter = unicodedata.normalize("NFC", name)
    for suffix in _SUFFIXES:
        shorter = shorter.removesuffix(suffix)
    for prefix in _PREFIXES:
        shorter = shorter.removeprefix(prefix)
    return _SCORER.sub("", shorter) or shorter
