"""Finding what a recording folder holds: 2D joints per camera, videos, calibrations."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from coview.errors import InputError, MissingFileError
from coview.formats.io.camera_names import listed, natural_key
from coview.formats.io.video import ENDINGS as VIDEO_ENDINGS
from coview.formats.keypoints.sources import JointSource, frames_within, not_understood, sources_in
from coview.formats.session.session import FILE

# Where programs put 2D joints; the first that is there is used. Associated: one person, chosen across views.
_JOINT_FOLDERS = (
    *("pose-associated", "pose-sync", "pose", "pose-2d", "joints2d", "keypoints", "2d"),
    *("predictions", "annots", "alphapose", "labels", "."),
)
_VIDEO_FOLDERS = ("videos", "videos-raw", "synchronized_videos", "videos/synchronized", ".")
# Two folders up a file of just any name may be anybody's.
_CALIBRATION_FOLDERS = (".", "calibration", "..", "../calibration", "../../calibration")
_NOT_CALIBRATIONS = frozenset({"config.toml", "session.toml", "pyproject.toml"})
_CALIBRATION_ENDINGS = (".toml", ".qca.txt", ".xcp")
# the other file of each is found beside it
_CALIBRATION_NAMES = frozenset({"intri.yml", "cameras.txt"})
_PANOPTIC = re.compile(r"calibration(_.*)?\.json")


@dataclass(frozen=True)
class Recording:
    """Files of a recording that were found; paths are absolute."""

    # where it is
    folder: Path
    # by camera, in natural order of the names
    joints: dict[str, JointSource]
    # the sub-folder with the 2D joints, for provenance
    joints_from: str
    # other sub-folders with 2D joints
    joints_unused: tuple[str, ...]
    # by file name without suffix
    videos: dict[str, Path]
    # files that may be a calibration, best first; not opened yet
    calibrations: tuple[Path, ...]


def find_recording(folder: Path) -> Recording:
    """Find the 2D joints, videos and calibrations of a folder in Pose2Sim's, OpenPose's or a plain layout.

    Args:
        folder: The folder.

    Returns:
        What was found; nothing but the first file of each camera is opened.

    Raises:
        MissingFileError: Where there is no such folder.
        InputError: Where it is empty, has no 2D joints, or has frames of one camera instead of a folder per camera; the
            message says what was found and what is expected.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f"no folder {folder}" + (": that is a file." if folder.exists() else "."))
    folder = Path(os.path.abspath(folder))
    if not any(not path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(f"{folder} is empty. {EXPECTED}")
    videos = _videos(folder)
    # the joints2d/ of a session that was made in this very folder is a copy, not a source
    places = [sub for sub in _JOINT_FOLDERS if sub != "joints2d" or not (folder / FILE).exists()]
    found = {sub: joints for sub in places if (joints := sources_in(folder / sub))}
    if not found:
        raise InputError(_no_joints(folder, videos))
    first, *others = found
    return Recording(folder, found[first], first, tuple(others), videos, _calibrations(folder))


def source_fingerprint(found: Recording, options: str) -> str:
    """Hash of what an import reads, which tells whether it has changed.

    Args:
        found: The recording.
        options: What the user set, as text.

    Returns:
        SHA-256 of the options, the 2D joints, and the size and the first mebibyte of every video.
    """
    digest = hashlib.sha256(options.encode())
    for camera, source in found.joints.items():
        digest.update(camera.encode())
        for file in source.files:
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    for stem, video in found.videos.items():
        with video.open("rb") as stream:
            beginning = stream.read(1 << 20)
        digest.update(f"{stem} {video.stat().st_size}".encode() + hashlib.sha256(beginning).digest())
    return digest.hexdigest()


EXPECTED = (
    "Expected is a folder with 2D joints and, if there are any, videos: Pose2Sim's trial folder "
    "(pose/<camera>_json/*.json, videos/<camera>.mp4), a folder <camera>_json of OpenPose JSON per camera, "
    "or one file per camera (JSON of COCO, MMPose or AlphaPose, csv or h5 of DeepLabCut, SLEAP or Lightning Pose); all "
    "layouts are in docs/howto/keypoint_files.md."
)


def _videos(folder: Path) -> dict[str, Path]:
    for sub in _VIDEO_FOLDERS:
        place = folder / sub
        files = [p for p in place.iterdir() if _is_video(p)] if place.is_dir() else []
        if files:
            return {path.stem: path for path in sorted(files, key=lambda path: natural_key(path.name))}
    return {}


def _is_video(path: Path) -> bool:
    return path.suffix.casefold() in VIDEO_ENDINGS and not path.name.startswith(".") and path.is_file()


def _calibrations(folder: Path) -> tuple[Path, ...]:
    """Files that may be a calibration, nearest first; TOML before others."""
    found: list[Path] = []
    for sub in _CALIBRATION_FOLDERS:
        place = Path(os.path.normpath(folder / sub))
        if place.is_dir():
            files = [p for p in place.iterdir() if _may_be_calibration(p)]
            found += sorted(
                files, key=lambda path: (path.suffix.casefold() != ".toml", natural_key(path.name))
            )
    return tuple(dict.fromkeys(found))


def _may_be_calibration(path: Path) -> bool:
    name = path.name.casefold()
    likely = name.endswith(_CALIBRATION_ENDINGS) or name in _CALIBRATION_NAMES
    return (
        path.is_file() and name not in _NOT_CALIBRATIONS and (likely or _PANOPTIC.fullmatch(name) is not None)
    )


def _no_joints(folder: Path, videos: dict[str, Path]) -> str:
    here = frames_within(folder)
    if here is not None and here.path == folder and here.files:
        return (
            f"{folder} holds {len(here.files)} frames of {here.title} directly. That is one camera; give the "
            f"folder above it, with one folder per camera."
        )
    strange = not_understood(folder)
    unread = f" Found and not understood: {strange}." if strange else ""
    if videos:
        return (
            f"{folder} holds {len(videos)} videos ({listed(videos)}) and no 2D joints.{unread} This version detects "
            f"nothing itself: run a 2D detector (OpenPose, RTMPose, Pose2Sim's `poseEstimation`) first and "
            f"put its JSON into pose/<camera>_json/. {EXPECTED}"
        )
    if (folder / "session.toml").is_file():
        return (
            f"{folder} is a session already. Go on with `coview calibrate people {folder}`; to import again, name the "
            f"folder of the recording."
        )
    below = [path.name for path in folder.iterdir() if path.is_dir() and _holds_recording(path)]
    hint = f"Its sub-folders {listed(below)} do; import one of them. " if below else ""
    return f"{folder} holds neither videos nor 2D joints.{unread} {hint}{EXPECTED}"


def _holds_recording(folder: Path) -> bool:
    return any(sources_in(folder / sub) for sub in _JOINT_FOLDERS)
