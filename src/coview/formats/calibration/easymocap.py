"""EasyMocap's intri.yml and extri.yml: OpenCV YAML, all cameras in two files, metres."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from coview.errors import InputError
from coview.formats.calibration.file_camera import (
    UNKNOWN_SIZE,
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    array,
    distortion_coefficients,
    distortion_list,
    extrinsics,
    rotation_matrix,
    whole_size,
)
from coview.formats.calibration.opencv_yaml import dump_opencv_yaml, read_opencv_yaml
from coview.formats.io.camera_names import listed, natural_key
from coview.formats.io.video import ENDINGS, probe

_INTRI, _EXTRI = "intri.yml", "extri.yml"
_PICTURES = (".jpg", ".jpeg", ".png")
_KEY = re.compile(r"^\s*(?:K|Rot|R)_[^:\s]+\s*:", re.MULTILINE)
# between the two forms in which a file gives one rotation
_AGREE = 1e-3


def _recognises(path: Path, text: str) -> bool:
    if path.is_dir():
        return (path / _INTRI).is_file()
    return path.suffix.casefold() in (".yml", ".yaml") and bool(_KEY.search(text))


def _files(path: Path) -> tuple[Path, Path]:
    """intri and extri, whichever of the two (or the folder) was named."""
    if path.is_dir():
        return path / _INTRI, path / _EXTRI
    name = path.name
    return path.with_name(name.replace("extri", "intri")), path.with_name(name.replace("intri", "extri"))


def _read(path: Path) -> FileCalibration:
    intri, extri = _files(path)
    intrinsics = read_opencv_yaml(intri)
    places = read_opencv_yaml(extri) if extri != intri and extri.is_file() else {}
    names = intrinsics.get("names") or sorted(
        (key[2:] for key in intrinsics if key.startswith("K_")), key=natural_key
    )
    if not isinstance(names, list) or not names:
        raise InputError(f"{intri} names no camera: `names` is missing, and there is no matrix K_<camera>.")
    cameras = tuple(_camera(str(name), intrinsics, places, intri, extri) for name in names)
    notes = () if places else (f"{extri.name} is not beside {intri.name}: only the intrinsics are known.",)
    return FileCalibration(cameras, EASYMOCAP.title, "m", notes=notes)


def _camera(
    name: str, intrinsics: dict[str, Any], places: dict[str, Any], intri: Path, extri: Path
) -> FileCamera:
    label = f"{intri}: camera '{name}'"
    if f"K_{name}" not in intrinsics:
        there = listed(key[2:] for key in intrinsics if key.startswith("K_"))
        raise InputError(f"{label} has no matrix `K_{name}`; there are matrices for: {there}.")
    distortions = intrinsics.get(f"dist_{name}", intrinsics.get(f"D_{name}"))
    rotation, translation = _pose(name, places, f"{extri}: camera '{name}'") if places else (None, None)
    return FileCamera(
        name,
        name,
        _size(name, intrinsics, intri),
        array(intrinsics[f"K_{name}"], (3, 3), f"{label}: K_{name}"),
        distortion_list(distortions, f"{label}: dist"),
        False,
        rotation,
        translation,
    )


def _pose(name: str, places: dict[str, Any], label: str) -> tuple[np.ndarray, np.ndarray]:
    given = [
        rotation_matrix(places[f"{key}_{name}"], f"{label}: {key}_{name}")
        for key in ("R", "Rot")
        if f"{key}_{name}" in places
    ]
    if not given or f"T_{name}" not in places:
        raise InputError(f"{label} is not placed: `R_{name}` (or `Rot_{name}`) and `T_{name}` are needed.")
    if len(given) == 2 and np.abs(given[0] - given[1]).max() > _AGREE:
        raise InputError(
            f"{label}: `R_{name}` and `Rot_{name}` are different rotations. One was edited without the other; "
            f"remove the wrong one."
        )
    return given[-1], array(places[f"T_{name}"], (3,), f"{label}: T_{name}")


def _size(name: str, intrinsics: dict[str, Any], intri: Path) -> tuple[float, float]:
    """As written, else of a picture or video beside the file. Never twice the principal point, as others guess."""
    if f"W_{name}" in intrinsics and f"H_{name}" in intrinsics:
        size = array(
            [intrinsics[f"W_{name}"], intrinsics[f"H_{name}"]],
            (2,),
            f"{intri}: camera '{name}': W_, H_{name}",
        )
        return float(size[0]), float(size[1])
    shown = _beside(intri.parent, name)
    if shown is None:
        return UNKNOWN_SIZE
    width, height = probe(shown).size
    return float(width), float(height)


def _beside(folder: Path, name: str) -> Path | None:
    pictures = folder / "images" / name
    found = [p for p in sorted(pictures.iterdir()) if p.suffix in _PICTURES] if pictures.is_dir() else []
    videos = (folder / "videos" / f"{name}{ending}" for ending in sorted(ENDINGS))
    return next(iter([*found[:1], *(video for video in videos if video.is_file())]), None)


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    intri, extri = _files(path) if path.suffix in (".yml", ".yaml") else (path / _INTRI, path / _EXTRI)
    names = [camera.name for camera in cameras]
    intrinsics: dict[str, Any] = {"names": names}
    places: dict[str, Any] = {"names": names}
    for camera in cameras:
        width, height = whole_size(camera)
        intrinsics |= {
            f"K_{camera.name}": camera.matrix,
            f"dist_{camera.name}": np.array([distortion_coefficients(camera, 5)]),
            f"H_{camera.name}": height,
            f"W_{camera.name}": width,
        }
        if camera.rotation is not None:
            rotation, translation = extrinsics(camera)
            places |= {
                f"R_{camera.name}": Rotation.from_matrix(rotation).as_rotvec()[:, None],
                f"Rot_{camera.name}": rotation,
                f"T_{camera.name}": translation[:, None],
            }
    files = {intri: dump_opencv_yaml(intrinsics).encode()}
    return files | ({extri: dump_opencv_yaml(places).encode()} if len(places) > 1 else {})


EASYMOCAP = CalibrationFormat(
    key="easymocap",
    title="EasyMocap intri.yml/extri.yml",
    place="a folder, or intri.yml in it",
    recognises=_recognises,
    read=_read,
    write=_write,
    means=lambda path: path.name in (_INTRI, _EXTRI),
    unit="m",
    # keys of a FileStorage
    rename=lambda name, index: re.sub(r"[^A-Za-z0-9_-]", "_", name),
    world="kept as it is; EasyMocap's own has z up, on the floor",
)
