"""Vicon's .xcp: XML with centres in mm, quaternions x y z w, radial distortion only."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from coview.errors import InputError
from coview.formats.calibration.axis_convention import most_plausible
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
from coview.formats.io.text import read_xml

# Published readers disagree on the camera's axes and on the direction of the rotation; the first is what most do.
_CONVENTIONS = [
    (
        f"ORIENTATION as {'camera→world' if transposed else 'world→camera'} with camera axes {axes}",
        np.diag(signs),
        transposed,
    )
    for transposed in (False, True)
    for axes, signs in (
        ("x right, y down, z forward", [1.0, 1.0, 1.0]),
        ("x right, y up, z backward", [1.0, -1.0, -1.0]),
        ("x left, y up, z forward", [-1.0, -1.0, 1.0]),
        ("x left, y down, z backward", [-1.0, 1.0, -1.0]),
    )
]
# a k1 below this moves no pixel by a hundredth: then it was meant per square pixel
_NEGLIGIBLE = 1e-5


def _read(path: Path) -> FileCalibration:
    root = read_xml(path)
    elements = [element for element in root.iter("Camera") if _films(element)]
    if not elements:
        types = ", ".join(sorted({element.get("TYPE", "?") for element in root.iter("Camera")})) or "none"
        raise InputError(
            f"{path}: no video camera among its cameras (TYPE: {types}). Marker cameras film nothing; export the "
            f"calibration of the video cameras."
        )
    frames = {element: element.find("KeyFrames/KeyFrame") for element in elements}
    notes = [
        f"camera '{_name(element)}' has no KeyFrame in {path.name}: it is not calibrated and was left out."
        for element, frame in frames.items()
        if frame is None
    ]
    calibrated = [_camera(element, frame, path) for element, frame in frames.items() if frame is not None]
    if not calibrated:
        raise InputError(f"{path}: none of its {len(elements)} video cameras is calibrated (no KeyFrame).")
    cameras, said, readings = most_plausible(calibrated, _CONVENTIONS)
    notes.append(f"{path.name}: read {said}. `coview calibrate file` decides by the session's 2D joints.")
    notes += [
        f"camera '{c.name}': k1 = {c.distortions[0]:g} does next to nothing as a number without unit; if it is meant "
        f"per square pixel, its distortion is lost. Check the reprojection at the image's border."
        for c in cameras
        if 0 < abs(c.distortions[0]) < _NEGLIGIBLE
    ]
    return FileCalibration(cameras, VICON.title, "mm", notes=tuple(notes), readings=readings)


def _films(element: Element) -> bool:
    said = (element.get(key, "").casefold() for key in ("TYPE", "DISPLAY_TYPE", "SYSTEM"))
    return any("video" in word or word == "dv" or word.startswith("vue") for word in said)


def _name(element: Element) -> str:
    return element.get("DEVICEID") or element.get("USERID") or "?"


def _camera(element: Element, frame: Element, path: Path) -> FileCamera:
    name = _name(element)
    label = f"{path}: camera '{name}'"

    def given(where: Element, key: str, count: int) -> list[float]:
        text = where.get(key)
        if text is None:
            raise InputError(f"{label}: the attribute {key} is missing. Export the calibration again.")
        return numbers(text, count, f"{label}: {key}")

    width, height = given(element, "SENSOR_SIZE", 2)
    [focal] = given(frame, "FOCAL_LENGTH", 1)
    [aspect] = numbers(element.get("PIXEL_ASPECT_RATIO", "1"), 1, f"{label}: PIXEL_ASPECT_RATIO")
    if not aspect > 0:
        raise InputError(f"{label}: PIXEL_ASPECT_RATIO is {aspect:g} and must be above 0.")
    cx, cy = given(frame, "PRINCIPAL_POINT", 2)
    x, y, z, w = given(frame, "ORIENTATION", 4)
    rotation = rotation_from_quaternion((w, x, y, z), f"{label}: ORIENTATION")
    return FileCamera(
        name,
        element.get("USERID") or name,
        (width, height),
        camera_matrix(focal, focal / aspect, cx, cy),
        _radial(frame, label),
        False,
        rotation,
        -rotation @ np.array(given(frame, "POSITION", 3)),
    )


def _radial(frame: Element, label: str) -> tuple[float, ...]:
    """k1 k2 0 0 k3. VICON_RADIAL2 has a word and a centre before its numbers."""
    newer, older = frame.get("VICON_RADIAL2"), frame.get("VICON_RADIAL")
    if newer:
        k1, k2, k3 = numbers(" ".join([*newer.split()[3:], "0"]), 3, f"{label}: VICON_RADIAL2")
        return (k1, k2, 0.0, 0.0, k3)
    k1, k2 = numbers(older, 2, f"{label}: VICON_RADIAL") if older else (0.0, 0.0)
    return (k1, k2, 0.0, 0.0, 0.0)


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    root = Element("Cameras", VERSION="1.0")
    for camera in cameras:
        _element(root, camera)
    ElementTree.indent(root)
    return {path: ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)}


def _element(root: Element, camera: FileCamera) -> None:
    rotation, translation = extrinsics(camera, 1000.0)
    w, x, y, z = quaternion(rotation)
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    k1, k2, _, _, k3 = distortion_coefficients(camera, 5)
    element = SubElement(
        root,
        "Camera",
        DEVICEID=camera.name,
        USERID=camera.name,
        TYPE="VideoCamera",
        SYSTEM="DV",
        SENSOR_SIZE=" ".join(str(side) for side in whole_size(camera)),
        PIXEL_ASPECT_RATIO=repr(fx / fy),
    )
    SubElement(
        SubElement(element, "KeyFrames"),
        "KeyFrame",
        FRAME="0",
        FOCAL_LENGTH=repr(fx),
        PRINCIPAL_POINT=_text(cx, cy),
        ORIENTATION=_text(x, y, z, w),
        POSITION=_text(*(-rotation.T @ translation).tolist()),
        VICON_RADIAL2=f"ViconRadial2 {_text(cx, cy, k1, k2, k3)}",
        WORLD_ERROR="nan",
    )


def _text(*values: float) -> str:
    return " ".join(repr(float(value)) for value in values)


VICON = CalibrationFormat(
    key="vicon",
    title="Vicon .xcp",
    place="a .xcp",
    recognises=lambda path, text: text.lstrip("\ufeff \r\n\t").startswith("<") and "<Cameras" in text,
    read=_read,
    write=_write,
    means=lambda path: path.suffix.casefold() == ".xcp",
    unit="mm",
    coefficients=frozenset({0, 1, 4}),
    skew=False,
    intrinsics_only=False,
    world="kept as it is; Vicon's own has z up",
)
