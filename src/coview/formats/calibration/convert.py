"""Write a calibration in another program's format; what that format cannot hold is reported, or refused.

Losses that would move projections are refused; uncertainty, clocks and names are reported.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.distortion import COEFFICIENTS
from coview.errors import InputError, OccupiedError
from coview.formats.calibration.calibration import Calibration, read_calibration, write_calibration
from coview.formats.calibration.file_camera import CalibrationFormat, FileCamera
from coview.formats.calibration.registry import FORMATS
from coview.formats.io.atomic import write_bytes
from coview.formats.io.camera_names import listed

# names of the distortion coefficients, in OpenCV's order
NAMES = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
# pixels: parameters that move no point by more than this may be left out silently
_UNSEEN = 1e-6
# pixels: a greater difference between the calibration and what was written is a mistake of coview's
_READS_BACK = 1e-3
# projections are compared on a grid of 9×9 pixels over the image, at these depths in metres
_GRID, _DEPTHS = 9, (1.0, 3.0, 9.0)


@dataclass(frozen=True)
class Converted:
    """The result of a conversion."""

    # paths of the files
    files: tuple[Path, ...]
    # the format they are in
    format: CalibrationFormat
    # read back from what was written
    calibration: Calibration
    # greatest distance between the projections of the original and of what was written, pixels
    difference_px: float
    # what the format cannot hold, in words
    lost: tuple[str, ...]


def target_format(path: Path, key: str | None) -> CalibrationFormat:
    """The format to write to: the one named, else the one that the name of the target means.

    Args:
        path: The file or folder to write to.
        key: Name of a format (`--to`); None: by the name of `path`.

    Returns:
        The format.

    Raises:
        ValueError: No such format, or the name means none; the message lists all.
    """
    formats = {form.key: form for form in FORMATS}
    if key is not None:
        if key not in formats:
            raise InputError(f"no calibration format '{key}'. Known: {', '.join(sorted(formats))}.")
        return formats[key]
    found = next((form for form in FORMATS if form.means(path)), None)
    if found is None:
        places = "; ".join(f"{form.key}: {form.place}" for form in formats.values())
        raise InputError(
            f"'{path.name}' does not tell a calibration format. Pass --to FORMAT. Known are {places}."
        )
    return found


def write_converted(
    calibration: Calibration, path: Path, form: CalibrationFormat, *, overwrite: bool = False
) -> Converted:
    """Write a calibration in a given format, after a trial elsewhere was read back and projects to the same pixels.

    Args:
        calibration: The cameras.
        path: File or folder to write.
        form: The format.
        overwrite: Whether files that are there may be replaced.

    Returns:
        What was written, its difference from `calibration` in pixels, and what was lost.

    Raises:
        ValueError: The format cannot hold something without which projections would be wrong: a distortion model, skew,
            or that the extrinsics are unknown. The message says what to do.
        FileExistsError: A file is there, and not `overwrite`.
    """
    _check_holds(calibration, form)
    names = [form.rename(name, index) for index, name in enumerate(calibration.names)]
    _check_names(names, calibration.names, form)
    with tempfile.TemporaryDirectory() as trial:
        _write(calibration, names, Path(trial).resolve() / path.name, form)
        back = read_calibration(Path(trial).resolve() / path.name)
    # a file of one camera may be named after the file
    back = back.select(names) if len(names) > 1 else back
    difference = largest_difference(calibration.cameras, back.cameras)
    if not difference <= _READS_BACK:
        raise InputError(
            f"what was written as {form.title} reads back {difference:.3g} px off, so nothing was written to {path}. "
            f"That is a mistake of coview's: please report it with the calibration."
        )
    there = sorted(file for file in _files(calibration, names, path, form) if file.exists())
    if there and not overwrite:
        raise OccupiedError(f"{there[0]} is there already. Choose another name, or pass --overwrite.")
    files = _write(calibration, names, path, form)
    return Converted(files, form, back, difference, _lost(calibration, names, form))


def _write(
    calibration: Calibration, names: Sequence[str], path: Path, form: CalibrationFormat
) -> tuple[Path, ...]:
    if form.key == "anipose":
        write_calibration(calibration, path)
        return (path,)
    files = _files(calibration, names, path, form)
    for file, content in files.items():
        write_bytes(file, content)
    return tuple(files)


def _files(
    calibration: Calibration, names: Sequence[str], path: Path, form: CalibrationFormat
) -> dict[Path, bytes]:
    if form.key == "anipose":
        return {path: b""}
    cameras = [_file_camera(calibration.cameras[i], name) for i, name in enumerate(names)]
    if len(cameras) > 1 and "one camera" in form.place and path.suffix and form.means(path):
        raise InputError(
            f"{form.title} has one file per camera, and there are {len(cameras)}: name a folder instead of "
            f"'{path.name}', with --to {form.key}."
        )
    return form.write(cameras, path)


def _file_camera(camera: Cameras, name: str) -> FileCamera:
    placed = not bool(camera.cam_from_world.isnan().any())
    width, height = camera.size.tolist()
    count = 4 if bool(camera.fisheye) else 8 if bool(camera.distortion[5:].any()) else 5
    return FileCamera(
        name,
        name,
        (width, height),
        camera.intrinsics.double().numpy(),
        tuple(camera.distortion[:count].tolist()),
        bool(camera.fisheye),
        camera.rotation.double().numpy() if placed else None,
        camera.translation.double().numpy() if placed else None,
    )


# --- what a format cannot hold ---------------------------------------------------------------------


def _check_holds(calibration: Calibration, form: CalibrationFormat) -> None:
    if not calibration.has_extrinsics and not form.intrinsics_only:
        raise InputError(
            f"this calibration holds intrinsics only, and {form.title} always says where the cameras stand. Find that "
            f"out first (`coview calibrate people SESSION`), or write {_holding(lambda f: f.intrinsics_only)}."
        )
    for index, name in enumerate(calibration.names):
        camera = calibration.cameras[index]
        if bool(camera.fisheye) and not form.fisheye:
            raise InputError(
                f"camera '{name}' has a fisheye lens (equidistant, k1..k4), which {form.title} has no words for: "
                f"pixels would be far off. Write {_holding(lambda f: f.fisheye)}, or undistort the videos first."
            )
        if not bool(camera.fisheye):
            _check_distortion(camera, name, form)
        _check_skew(camera, name, form)


def _check_distortion(camera: Cameras, name: str, form: CalibrationFormat) -> None:
    dropped = [i for i in range(COEFFICIENTS) if i not in form.coefficients and float(camera.distortion[i])]
    kept = camera.distortion.clone()
    kept[dropped] = 0.0
    moved = largest_difference(camera, replace(camera, distortion=kept))
    if moved > _UNSEEN:
        raise InputError(
            f"camera '{name}': {form.title} cannot hold {', '.join(NAMES[i] for i in dropped)} of its distortion, "
            f"and without {'it' if len(dropped) == 1 else 'them'} pixels would be off by up to {moved:.3g} px. "
            f"Write {_holding(lambda f: f.coefficients >= set(dropped))}, or undistort the videos first."
        )


def _check_skew(camera: Cameras, name: str, form: CalibrationFormat) -> None:
    skew = float(camera.intrinsics[0, 1])
    off = abs(skew) * float(camera.size[1] / camera.intrinsics[1, 1]) / 2
    if not form.skew and off > _UNSEEN:
        raise InputError(
            f"camera '{name}' has skew ({skew:g}), which {form.title} cannot hold: pixels would be off by up to "
            f"{off:.3g} px. Write {_holding(lambda f: f.skew)}, or calibrate again without skew."
        )


def _holding(holds) -> str:  # type: ignore[no-untyped-def]
    return " or ".join(form.key for form in FORMATS if holds(form)) + " (--to)"


def _check_names(names: Sequence[str], originals: Sequence[str], form: CalibrationFormat) -> None:
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        which = listed(old for old, new in zip(originals, names, strict=True) if new in doubled)
        raise InputError(
            f"{form.title} would call the cameras {which} all '{doubled[0]}'. Rename them in the calibration first."
        )
    unsafe = [name for name in names if "/" in name or "\\" in name or name in ("", ".", "..")]
    if unsafe and "folder" in form.place:
        raise InputError(
            f"camera '{unsafe[0]}' cannot be the name of a file, and {form.title} needs that. Rename it first."
        )


def _lost(calibration: Calibration, names: Sequence[str], form: CalibrationFormat) -> tuple[str, ...]:
    said = [f"{old} → {new}" for old, new in zip(calibration.names, names, strict=True) if old != new]
    found = [f"cameras are named as {form.title} can: {', '.join(said)}"] if said else []
    if form.key == "anipose":
        return tuple(found)
    uncertain = calibration.sigma or calibration.focal_sigma or calibration.scale_sigma is not None
    if uncertain:
        found.append("lost: the standard deviations of the cameras")
    if any((clock.time_offset, clock.drift) != (0.0, 0.0) for clock in calibration.clocks.values()):
        found.append(
            "LOST: the cameras' clocks. Frame n is not the same instant in all videos; whoever reads this must shift "
            "them: "
            + ", ".join(
                f"{name} {1000 * clock.time_offset:+.1f} ms" for name, clock in calibration.clocks.items()
            )
        )
    if form.world and calibration.has_extrinsics:
        found.append(f"world: {form.world}")
    return tuple(found)


# --- comparing -------------------------------------------------------------------------------------


def largest_difference(first: Cameras, second: Cameras) -> float:
    """The greatest distance in pixels between the projections of the same points by two sets of cameras.

    The points fill every image of `first`, at depths of 1, 3 and 9 m. Cameras that have no extrinsics in either set are
    compared by their intrinsics.

    Args:
        first: Cameras, any batch.
        second: As many cameras, in the same order.

    Returns:
        Pixels. Infinite where one camera sees a point and the other does not, or where only one set has extrinsics.
    """
    placed = first.cam_from_world.isfinite().all(dim=(-2, -1))
    if not torch.equal(placed, second.cam_from_world.isfinite().all(dim=(-2, -1))):
        return float("inf")
    here = torch.eye(3, 4, dtype=torch.float64)
    one, two = (
        replace(
            c.to(torch.float64),
            cam_from_world=torch.where(placed[..., None, None], c.cam_from_world.double(), here),
        )
        for c in (first, second)
    )
    points = (_points_ahead(one) - one.translation[..., None, :]) @ one.rotation
    apart = (one.project(points) - two.project(points)).norm(dim=-1)
    both_behind = one.project(points).isnan().any(-1) & two.project(points).isnan().any(-1)
    return float(torch.where(both_behind, 0.0, apart.nan_to_num(torch.inf)).max())


def _points_ahead(cameras: Cameras) -> Float[Tensor, "*batch points 3"]:
    """Points in every camera's own frame, through a grid over its image (as if the lens were perfect); metres."""
    steps = torch.linspace(0, 1, _GRID, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps) * cameras.size[..., None, :]
    flat = (grid - cameras.principal_point[..., None, :]) / cameras.focal[..., None, :]
    rays = torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1)
    return torch.cat([depth * rays for depth in _DEPTHS], dim=-2)
