"""COLMAP's sparse model (cameras and images, .txt or .bin): scale unknown, pixel centres at half-integers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from coview.errors import InputError
from coview.formats.calibration.colmap_binary import Lens, View, read_cameras, read_images
from coview.formats.calibration.file_camera import (
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    camera_matrix,
    distortion_coefficients,
    extrinsics,
    numbers,
    quaternion,
    rotation_from_quaternion,
    whole_size,
)
from coview.formats.io.camera_names import listed, natural_key
from coview.formats.io.text import read_text

# COLMAP's pixel (0, 0) has its centre at (0.5, 0.5)
_HALF = 0.5
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
# distance between images of a fixed camera, as a share of the extent of all cameras; and angle in radians
_SAME_PLACE = 0.01
_SAME_DIRECTION = np.radians(1.0)
_ROUNDED = 1e-6
_STATED = "# Lengths in metres, written by coview."
# one focal length or two; places of the distortion parameters in OpenCV's order; fisheye
_MODELS: dict[str, tuple[int, tuple[int, ...], bool]] = {
    "SIMPLE_PINHOLE": (1, (), False),
    "PINHOLE": (2, (), False),
    "SIMPLE_RADIAL": (1, (0,), False),
    "RADIAL": (1, (0, 1), False),
    "OPENCV": (2, (0, 1, 2, 3), False),
    "FULL_OPENCV": (2, (0, 1, 2, 3, 4, 5, 6, 7), False),
    "OPENCV_FISHEYE": (2, (0, 1, 2, 3), True),
    "SIMPLE_RADIAL_FISHEYE": (1, (0,), True),
    "RADIAL_FISHEYE": (1, (0, 1), True),
}
_NAMES = frozenset({"cameras.txt", "images.txt", "cameras.bin", "images.bin"})


def _recognises(path: Path, text: str) -> bool:
    folder = path if path.is_dir() else path.parent
    return (path.is_dir() or path.name in _NAMES) and _pair(folder) is not None


def _pair(folder: Path) -> tuple[Path, Path] | None:
    """Text before binary, as COLMAP's own converter leaves both."""
    for ending in ("txt", "bin"):
        pair = folder / f"cameras.{ending}", folder / f"images.{ending}"
        if all(path.is_file() for path in pair):
            return pair
    return None


def _read(path: Path) -> FileCalibration:
    pair = _pair(path if path.is_dir() else path.parent)
    # `_recognises` found it
    assert pair is not None
    cameras_file, images_file = pair
    binary = cameras_file.suffix == ".bin"
    intrinsics = read_cameras(cameras_file) if binary else dict(_text_cameras(cameras_file))
    views = read_images(images_file) if binary else list(_text_images(images_file))
    if not views:
        raise InputError(
            f"{images_file} holds no image, so nobody knows where a camera stands. Map the scene first."
        )
    cameras = [_camera(view, intrinsics, pair) for view in views]
    named, moving = _still(_named(cameras), images_file)
    stated = not binary and _STATED in read_text(images_file)
    return FileCalibration(
        tuple(sorted(named, key=lambda camera: natural_key(camera.name))),
        COLMAP.title,
        "m" if stated else None,
        notes=(*(() if stated else (_WORLD,)), *moving),
        scale_known=stated,
    )


_WORLD = "a COLMAP model's world is turned at random: z is not up, so nothing made from it stands upright."


def _lines(path: Path) -> list[str]:
    return read_text(path).splitlines()


def _text_cameras(path: Path) -> Iterator[tuple[int, Lens]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        label = f"{path}, line {number}"
        parts = line.split()
        if len(parts) < 5:
            raise InputError(f"{label}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS, found '{line[:80]}'.")
        camera, width, height = numbers(" ".join([parts[0], *parts[2:4]]), 3, label)
        parameters = parts[4:]
        yield (
            int(camera),
            (parts[1], int(width), int(height), numbers(" ".join(parameters), len(parameters), label)),
        )


def _text_images(path: Path) -> Iterator[View]:
    """Two lines per image; the second, its 2D points, is skipped and may be empty."""
    lines = enumerate(_lines(path), 1)
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        label = f"{path}, line {number}"
        parts = line.split(maxsplit=9)
        if len(parts) < 10:
            raise InputError(
                f"{label}: expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, found '{line[:80]}'. Every image has "
                f"two lines; the second holds its points and stays, even where it is empty."
            )
        values = numbers(" ".join(parts[:9]), 9, label)
        yield values[1:8], int(values[8]), parts[9].strip()
        skipped, points = next(lines, (number + 1, ""))
        if len(points.split()) % 3:
            raise InputError(
                f"{path}, line {skipped}: here should be the points of image '{parts[9].strip()}' (X Y POINT3D_ID, any "
                f"number of times). Were empty lines removed? Every image has two lines, even if the second is empty."
            )


def _camera(view: View, intrinsics: dict[int, Lens], pair: tuple[Path, Path]) -> FileCamera:
    pose, number, image = view
    if number not in intrinsics:
        raise InputError(
            f"{pair[1]}: image '{image}' is of camera {number}, which {pair[0].name} does not have "
            f"(it has {listed(map(str, intrinsics))}). The two files are of different models."
        )
    model, width, height, parameters = intrinsics[number]
    label = f"{pair[0]}: camera {number}"
    if model not in _MODELS:
        raise InputError(
            f"{label} has the lens model {model}, which OpenCV's polynomials cannot express. Let COLMAP undistort the "
            f"images (`colmap image_undistorter`) and use that model, with the undistorted images."
        )
    focals, places, fisheye = _MODELS[model]
    if len(parameters) != focals + 2 + len(places):
        raise InputError(
            f"{label}: {model} has {focals + 2 + len(places)} parameters, and {len(parameters)} are given."
        )
    distortions = np.zeros(4 if fisheye else 8)
    distortions[list(places)] = parameters[focals + 2 :]
    cx, cy = (value - _HALF for value in parameters[focals : focals + 2])
    return FileCamera(
        image,
        str(number),
        (float(width), float(height)),
        camera_matrix(parameters[0], parameters[focals - 1], cx, cy),
        tuple(distortions.tolist()),
        fisheye,
        rotation_from_quaternion(pose[:4], f"{pair[1]}: image '{image}'"),
        np.array(pose[4:]),
    )


def _named(cameras: Sequence[FileCamera]) -> list[FileCamera]:
    """Cameras called after their image, or after its folder where every camera has one."""
    paths = [PurePosixPath(camera.name) for camera in cameras]
    folders = [path.parent.as_posix() for path in paths]
    by_folder = "." not in folders and len(set(folders)) > 1
    names = folders if by_folder else [p.stem if p.suffix.casefold() in _PICTURES else p.name for p in paths]
    return [replace(c, name=name, alias=c.name) for c, name in zip(cameras, names, strict=True)]


def _still(cameras: Sequence[FileCamera], path: Path) -> tuple[list[FileCamera], list[str]]:
    """One image of each camera that stood still, and notes on those that were carried about.

    COLMAP places every image by itself, so the images of a fixed camera differ by what that is uncertain.
    ValueError where no camera stood still.
    """
    images: dict[str, list[FileCamera]] = {}
    for camera in cameras:
        images.setdefault(camera.name, []).append(camera)
    # one image each: a camera with many of them would be the middle of all
    centres = np.stack([-r.T @ t for r, t in (extrinsics(same[0]) for same in images.values())])
    spread = float(np.median(np.linalg.norm(centres - np.median(centres, axis=0), axis=-1)))
    moving = {name for name, same in images.items() if not _stands(same, spread)}
    if len(moving) == len(images):
        raise InputError(
            f"{path}: every camera has several images with different poses ({listed(moving)}). coview's cameras stand "
            f"still: keep one image of each camera in the model."
        )
    told = [
        f"camera '{name}' of the COLMAP model has {len(images[name])} images from different places, so it was carried "
        f"about; it was left out."
        for name in sorted(moving, key=natural_key)
    ]
    return [same[0] for name, same in images.items() if name not in moving], told


def _stands(images: Sequence[FileCamera], spread: float) -> bool:
    """Whether the images of one camera were taken from one place, in one direction."""
    first, place = extrinsics(images[0])
    centre = -first.T @ place
    for camera in images[1:]:
        rotation, translation = extrinsics(camera)
        cosine = (np.trace(rotation @ first.T) - 1) / 2
        away = np.linalg.norm(-rotation.T @ translation - centre)
        if away > _SAME_PLACE * spread + _ROUNDED or cosine < np.cos(_SAME_DIRECTION):
            return False
    return True


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    folder = path.parent if path.name in _NAMES else path
    intrinsics, images = [], []
    for number, camera in enumerate(cameras, 1):
        rotation, translation = extrinsics(camera)
        intrinsics.append(f"{number} {_lens_text(camera)}")
        images += [f"{number} {_text([*quaternion(rotation), *translation])} {number} {camera.name}.png", ""]
    head = [
        "# Camera list with one line of data per camera:",
        "#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]",
    ]
    poses = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
        "#   POINTS2D[] as (X, Y, POINT3D_ID)",
        _STATED,
    ]
    return {
        folder / "cameras.txt": "\n".join([*head, *intrinsics, ""]).encode(),
        folder / "images.txt": "\n".join([*poses, *images, ""]).encode(),
        folder / "points3D.txt": b"# 3D point list, empty: these cameras were calibrated elsewhere.\n",
    }


def _lens_text(camera: FileCamera) -> str:
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    model = "OPENCV_FISHEYE" if camera.fisheye else "FULL_OPENCV" if any(camera.distortions[4:]) else "OPENCV"
    width, height = whole_size(camera)
    values = [fx, fy, cx + _HALF, cy + _HALF, *distortion_coefficients(camera, len(_MODELS[model][1]))]
    return f"{model} {width} {height} {_text(values)}"


def _text(values: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


COLMAP = CalibrationFormat(
    key="colmap",
    title="COLMAP model",
    place="a folder, or cameras.txt in it",
    recognises=_recognises,
    read=_read,
    write=_write,
    means=lambda path: path.name in ("cameras.txt", "images.txt"),
    unit="none (metres, said in a comment)",
    coefficients=frozenset(range(8)),
    fisheye=True,
    skew=False,
    intrinsics_only=False,
    rename=lambda name, index: "_".join(name.split()),
)
