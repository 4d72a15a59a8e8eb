"""Calibrated cameras by name: read from the formats in use, written as anipose/Pose2Sim TOML in metres."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview import __version__
from coview.cameras import Cameras
from coview.distortion import COEFFICIENTS
from coview.errors import InputError, UnknownNameError
from coview.formats.calibration.clock import Clock, clocks_from_table, clocks_to_table
from coview.formats.calibration.file_camera import FileCalibration, FileCamera, camera_table
from coview.formats.calibration.fit_size import SizeMismatch, fit_size
from coview.formats.calibration.registry import read_calibration_file
from coview.formats.calibration.units import Units, metres_per_unit
from coview.formats.calibration.validate import check_cameras
from coview.formats.io.atomic import write_text
from coview.formats.io.camera_names import listed, match_names
from coview.formats.io.damage import reader
from coview.formats.io.toml import dump_toml

_RESERVED = frozenset({"metadata", "cameras", "capture_volume", "charuco", "checkerboard"})
T = TypeVar("T")


@dataclass(frozen=True)
class Calibration:
    """Cameras with their names, where they came from, and how sure they are. Float64, metres.

    Attributes:
        names: One per camera.
        cameras: The `Cameras`, batch axis views; NaN extrinsics where only the intrinsics are known.
        provenance: Where it came from, in words.
        sigma: Per name: standard deviation of the centre (metres) and of the rotation (radians), where known.
        scale_sigma: Relative standard deviation of the scale; None: not known.
        notes: What a person should read before relying on it.
        aliases: Per name: another name that the file gives the camera.
        clocks: Per name: when the camera took its pictures; absent: on time.
        focal_sigma: Per name: standard deviation of the focal length, pixels.
        read_as: Format and unit of the file itself.
        readings: Where the format is documented in several ways: each in words, with the extrinsics by it.

    Example:
        >>> import coview
        >>> calibration = coview.Calibration(("left", "right"), coview.example_cameras(2))
        >>> calibration.has_extrinsics, calibration.select(["right"]).names
        (True, ('right',))
    """

    # one per camera, in the order of `cameras`
    names: tuple[str, ...]
    # batch: views; NaN extrinsics where only the intrinsics are known
    cameras: Cameras
    # topic: where it came from, in words
    provenance: dict[str, str] = field(default_factory=dict)
    # name: standard deviations of the centre (metres) and of the rotation (radians)
    sigma: dict[str, tuple[float, float]] = field(default_factory=dict)
    # relative standard deviation of the scale; None: not known
    scale_sigma: float | None = None
    # what a person should read before relying on it
    notes: tuple[str, ...] = ()
    # name: another name the file gives that camera
    aliases: dict[str, str] = field(default_factory=dict)
    # name: when the camera took its pictures; absent: synchronous with the reference
    clocks: dict[str, Clock] = field(default_factory=dict)
    # name: standard deviation of the focal length, pixels
    focal_sigma: dict[str, float] = field(default_factory=dict)
    # format and unit of the file itself; provenance may tell of an earlier one
    read_as: tuple[str, str] = ("", "")
    # documented readings of the file in words, each with camera-from-world matrices; empty: there is one
    readings: tuple[tuple[str, Float[Tensor, "views 3 4"]], ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.cameras):
            raise InputError(
                f"Calibration: {len(self.names)} names for {len(self.cameras)} cameras ({listed(self.names)}). "
                f"Give each camera one name, in the order of the cameras."
            )

    @property
    def has_extrinsics(self) -> bool:
        """Whether every camera has extrinsics, and not intrinsics alone."""
        return not bool(self.cameras.cam_from_world.isnan().any())

    def without_extrinsics(self) -> "Calibration":
        """The same intrinsics, with extrinsics NaN: these, their uncertainty and the clocks belong to one recording."""
        unknown = torch.full_like(self.cameras.cam_from_world, torch.nan)
        cameras = replace(self.cameras, cam_from_world=unknown)
        return replace(self, cameras=cameras, sigma={}, scale_sigma=None, clocks={}, readings=())

    def select(self, names: Sequence[str]) -> "Calibration":
        """Some of the cameras, in a given order.

        Args:
            names: Names of cameras of this calibration.

        Returns:
            The calibration of these cameras, in the order of `names`.

        Raises:
            LookupError: A name is not in this calibration.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise UnknownNameError(
                f"no camera {', '.join(unknown)}; this calibration has {', '.join(self.names)}."
            )
        index = torch.tensor([self.names.index(name) for name in names])
        return replace(
            self,
            names=tuple(names),
            cameras=self.cameras[index],
            sigma=_named(self.sigma, names, names),
            aliases=_named(self.aliases, names, names),
            clocks=_named(self.clocks, names, names),
            focal_sigma=_named(self.focal_sigma, names, names),
            readings=tuple((said, poses[index]) for said, poses in self.readings),
        )

    @property
    def fingerprint(self) -> str:
        """Hash (16 hex digits) of names, parameters and clocks: equal for equal cameras from whatever file."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        for part in (
            self.cameras.intrinsics,
            self.cameras.cam_from_world,
            self.cameras.distortion,
            self.cameras.size,
        ):
            digest.update(np.ascontiguousarray(part.double().numpy().round(9) + 0.0).tobytes())
        shifted = {
            name: clock for name, clock in self.clocks.items() if name in self.names and not clock.is_zero
        }
        # none: the hash of files from before there were clocks
        for name, clock in sorted(shifted.items()):
            digest.update(f"{name} {clock.time_offset:.9f} {clock.drift:.12f}".encode())
        return digest.hexdigest()[:16]


def _named(values: Mapping[str, T], old: Sequence[str], new: Sequence[str]) -> dict[str, T]:
    """What is known of the cameras `old`, under their new names."""
    return {b: values[a] for a, b in zip(old, new, strict=True) if a in values}


# --- reading -------------------------------------------------------------------------------------


@reader("a calibration")
def read_calibration(
    path: Path | str,
    *,
    units: Units | None = None,
    sizes: Mapping[str, tuple[int, int] | None] | None = None,
    intrinsics_only: bool = False,
) -> Calibration:
    """Read calibrated cameras from a file; the format is found from the content.

    Formats: docs/howto/calibration_files.md.

    Lengths become metres: by the unit that the file states, else by `units`, else by how far apart the cameras are
    (said in `notes`). Every camera is checked to be one that can exist.

    Args:
        path: The file, or the folder where a format has several files.
        units: Of its lengths, where it does not say: "m", "cm" or "mm".
        sizes: Width, height in pixels by camera name ("*": all), for files that state none.
        intrinsics_only: Do not read where the cameras stand; no unit of length is needed then.

    Returns:
        Cameras with names, float64, metres, OpenCV axes.

    Raises:
        CoviewError: No such file, an unknown format, an ambiguous unit, or a camera that cannot exist; the message
            names file, camera and value.

    Example:
        >>> import coview
        >>> coview.write_calibration(coview.Calibration(("left", "right"), coview.example_cameras(2)), "two.toml")
        >>> coview.read_calibration("two.toml").names
        ('left', 'right')
    """
    path = Path(path)
    file = read_calibration_file(path)
    _check_finite(file.cameras, path)
    file = replace(file, cameras=_sized(file.cameras, sizes or {}))
    if intrinsics_only:
        file = replace(file, cameras=tuple(replace(c, rotation=None, translation=None) for c in file.cameras))
    metres, said = metres_per_unit(file, units, path)
    names = tuple(camera.name for camera in file.cameras)
    cameras = _stacked([_tensors(camera, metres) for camera in file.cameras])
    check_cameras(names, cameras, str(path))
    clocks = clocks_from_table(file.metadata.get("clocks", {}), str(path))
    if strange := sorted(set(clocks) - set(names)):
        raise InputError(
            f"{path}: a clock is given for {listed(strange)}, and no camera has that name ({listed(names)}). Its delay "
            f"would be ignored; mend the name under [metadata.clocks], or remove it."
        )
    guessed = (said,) if file.units is None and units is None and metres is not None else ()
    provenance = {"file": str(path), "format": file.format, "units": said}
    return Calibration(
        names,
        cameras,
        provenance | {key: str(value) for key, value in _table(file.metadata, "provenance").items()},
        {
            name: pair
            for name, row in _table(file.metadata, "sigma").items()
            if np.isfinite(pair := (_sigma(row, "centre_m", path), _sigma(row, "rotation_rad", path))).all()
        },
        _known(_sigma(file.metadata, "scale_sigma", path)),
        file.notes + guessed,
        {camera.name: camera.alias for camera in file.cameras if camera.alias != camera.name},
        clocks,
        {
            name: sigma
            for name, value in _table(file.metadata, "focal_sigma_px").items()
            if np.isfinite(sigma := _sigma({"focal_sigma_px": value}, "focal_sigma_px", path))
        },
        (file.format, said),
        () if metres is None or intrinsics_only else _readings(file, metres),
    )


def _readings(file: FileCalibration, metres: float) -> tuple[tuple[str, Tensor], ...]:
    return tuple(
        (said, _stacked([_tensors(camera, metres) for camera in cameras]).cam_from_world)
        for said, cameras in file.readings
    )


def _sized(
    cameras: Sequence[FileCamera], sizes: Mapping[str, tuple[int, int] | None]
) -> tuple[FileCamera, ...]:
    """The cameras with the sizes that the file leaves open, where these are known."""
    unsized = [camera.name for camera in cameras if not np.isfinite(camera.size).all()]
    found = match_names(unsized, list(sizes))

    def size(camera: FileCamera) -> tuple[float, float]:
        given = sizes.get(found.get(camera.name, "*")) if camera.name in unsized else None
        return (float(given[0]), float(given[1])) if given else camera.size

    return tuple(replace(camera, size=size(camera)) for camera in cameras)


def _check_finite(cameras: Sequence[FileCamera], path: Path) -> None:
    """Before anything is guessed from the numbers."""
    for camera in cameras:
        for what, values in (("rotation", camera.rotation), ("translation", camera.translation)):
            if values is not None and not np.isfinite(values).all():
                raise InputError(
                    f"{path}: camera '{camera.name}' has a {what} that is not a number. Calibrate it again, or leave "
                    f"rotation and translation out and use `coview calibrate people`."
                )


def _table(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    """A sub-table of ours; nothing where another program keeps something else under that key."""
    value = metadata.get(key)
    return value if isinstance(value, dict) else {}


def _sigma(row: object, key: str, path: Path) -> float:
    """A standard deviation; NaN where the file states none, or none that is a number."""
    value = row.get(key, np.nan) if isinstance(row, dict) else row
    if not isinstance(value, int | float) or value < 0:
        raise InputError(
            f"{path}: {key} is {value!r:.60}, and a standard deviation is a number from 0 on. Mend it, or remove it: "
            f"what is not stated is not known."
        )
    return float(value)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _tensors(camera: FileCamera, metres: float | None) -> tuple[np.ndarray, ...]:
    pose = np.full((3, 4), np.nan)
    if camera.rotation is not None and camera.translation is not None and metres is not None:
        pose = np.concatenate([camera.rotation, camera.translation[:, None] * metres], axis=1)
    distortion = np.pad(
        np.array(camera.distortions, dtype=np.float64), (0, COEFFICIENTS - len(camera.distortions))
    )
    return camera.matrix, pose, np.array(camera.size), distortion, np.array(camera.fisheye)


def _stacked(parts: list[tuple[np.ndarray, ...]]) -> Cameras:
    return Cameras(*(torch.from_numpy(np.stack(field)) for field in zip(*parts, strict=True)))


# --- fitting to a recording ----------------------------------------------------------------------


def calibration_for(
    calibration: Calibration,
    names: Sequence[str],
    sizes: Sequence[tuple[int, int] | None],
    *,
    size_mismatch: SizeMismatch = "keep",
) -> Calibration:
    """The calibration matched to the cameras of a recording by name, and fitted to the size of its images.

    Cameras are matched by name, never by position; trivial differences (cam_01, cam1, cam01_json) are bridged and
    noted.

    Args:
        calibration: The cameras to choose from.
        names: Names of the recording's cameras.
        sizes: Width, height of the recording's images in pixels, per camera; None: unknown, nothing is checked.
        size_mismatch: What to do where images have another aspect ratio (see `fit_size`).

    Returns:
        Cameras in the order and under the names of `names`; `notes` holds what the user must be told.

    Raises:
        ValueError: A camera is missing (the message lists both sets of names), or an image size does not fit.
    """
    chosen = calibration.select(_matched(calibration, names))
    fitted = [
        (chosen.cameras[i], "") if size is None else fit_size(chosen.cameras[i], size, name, size_mismatch)
        for i, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]
    renamed = [f"{old} → {new}" for old, new in zip(chosen.names, names, strict=True) if old != new]
    said = (f"cameras of the calibration were matched by name: {', '.join(renamed)}.",) if renamed else ()
    cameras = Cameras.stack(camera for camera, _ in fitted)
    grown = dict(zip(names, (cameras.focal / chosen.cameras.focal).mean(dim=-1).tolist(), strict=True))
    focal_sigma = _named(chosen.focal_sigma, chosen.names, names)
    return replace(
        chosen,
        names=tuple(names),
        cameras=cameras,
        sigma=_named(chosen.sigma, chosen.names, names),
        notes=calibration.notes + said + tuple(note for _, note in fitted if note),
        aliases={},
        clocks=_named(chosen.clocks, chosen.names, names),
        focal_sigma={name: value * grown[name] for name, value in focal_sigma.items()},
    )


def _matched(calibration: Calibration, names: Sequence[str]) -> list[str]:
    """The calibration's name for each of `names`."""
    found = match_names(names, calibration.names)
    if len(found) < len(names):
        by_alias = {calibration.aliases.get(name, name): name for name in calibration.names}
        aliased = match_names(names, list(by_alias))
        if len(aliased) == len(names):
            return [by_alias[aliased[name]] for name in names]
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"the calibration has no camera {listed(missing)}. The recording's cameras: {listed(names)}; "
            f"the calibration's: {listed(calibration.names)} "
            f"(from {calibration.provenance.get('file', 'no file')}). It belongs to other cameras, or "
            f"they have other names: rename them in the calibration; coview never matches by position."
        )
    return [found[name] for name in names]


# --- writing -------------------------------------------------------------------------------------


def write_calibration(calibration: Calibration, path: Path | str) -> None:
    """Write calibrated cameras as TOML that anipose and Pose2Sim read, in metres; what only coview knows in [metadata].

    The file is replaced as a whole or not at all.

    Args:
        calibration: The cameras and their names.
        path: The file.

    Raises:
        CoviewError: A camera that cannot exist; it is checked as `read_calibration` does.

    Example:
        >>> import coview, pathlib
        >>> coview.write_calibration(coview.Calibration(("left", "right"), coview.example_cameras(2)), "two.toml")
        >>> pathlib.Path("two.toml").read_text()[:6]
        '[left]'
    """
    check_cameras(calibration.names, calibration.cameras, f"writing {Path(path).name}")
    tables = {
        _title(name): camera_table(calibration.cameras[i], name) for i, name in enumerate(calibration.names)
    }
    write_text(Path(path), dump_toml({**tables, "metadata": _metadata(calibration)}))


def _title(name: str) -> str:
    return f"camera_{name}" if name in _RESERVED else name


def _metadata(calibration: Calibration) -> dict[str, Any]:
    sigma = {
        name: {"centre_m": float(centre), "rotation_rad": float(rotation)}
        for name, (centre, rotation) in calibration.sigma.items()
    }
    return {
        "units": "m",
        "axes": "x = R X + t with rotation a Rodrigues vector; OpenCV camera axes; right-handed world",
        "software": f"coview {__version__}",
        "scale_sigma": calibration.scale_sigma,
        "provenance": dict(calibration.provenance) or None,
        "sigma": sigma or None,
        "clocks": clocks_to_table(calibration.clocks) or None,
        "focal_sigma_px": {name: float(value) for name, value in calibration.focal_sigma.items()} or None,
    }
