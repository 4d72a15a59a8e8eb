"""Qualisys Track Manager's .qca.txt: XML with centres in mm, image y up, z backward, pixels in 64ths."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from coview.errors import InputError
from coview.formats.calibration.axis_convention import turned_cameras
from coview.formats.calibration.file_camera import (
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    camera_matrix,
    lens,
    mended,
    placed,
    whole_size,
)
from coview.formats.io.text import read_xml

# the others are marker cameras, which film nothing
_MODELS = ("video", "hybrid", "none")
# Qualisys' camera axes (x right, y up, z backward) to OpenCV's
_OURS = np.diag([1.0, -1.0, -1.0])
_SUBPIXELS = 64.0
_LENS = (
    *("focalLengthU", "focalLengthV", "centerPointU", "centerPointV"),
    *("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2"),
    # in OpenCV's order; tangental is Qualisys' spelling
    "radialDistortion3",
)
_ENTRIES = tuple(f"r{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3))
_POSE = ("x", "y", "z", *_ENTRIES)
_SIDES = ("left", "top", "right", "bottom")


def _read(path: Path) -> FileCalibration:
    root = read_xml(path)
    elements = root.findall(".//camera")
    if not elements:
        raise InputError(f"{path}: XML with root <{root.tag}> and no <camera>: not a Qualisys calibration.")
    filming = [e for e in elements if e.get("active", "1") != "0" and _films(e)]
    if not filming:
        models = ", ".join(sorted({e.get("model", "?") for e in elements}))
        raise InputError(
            f"{path}: no active video camera among its {len(elements)} cameras (models: {models})."
        )
    notes = [
        f"camera '{e.get('serial')}' has viewrotation {e.get('viewrotation')}: its video may be turned "
        f"against its calibration; look at the reprojection before trusting it."
        for e in filming
        if float(e.get("viewrotation", "0") or 0) != 0
    ]
    cameras = tuple(_camera(e, path) for e in filming)
    notes += turned_cameras(cameras, path)
    return FileCalibration(cameras, QUALISYS.title, "mm", notes=tuple(notes))


def _films(camera: Element) -> bool:
    model = camera.get("model", "none").casefold()
    return any(word in model for word in _MODELS)


def _camera(camera: Element, path: Path) -> FileCamera:
    name = camera.get("serial", "")
    label = f"{path}: camera '{name}'"
    left, top, right, bottom = _attributes(camera, "fov_video", _SIDES, label)
    fx, fy, cx, cy, *distortions = _attributes(camera, "intrinsic", _LENS, label)
    pose = _attributes(camera, "transform", _POSE, label)
    rotation = _OURS @ mended(np.array(pose[3:]).reshape(3, 3))
    scale = 1 / _SUBPIXELS
    return FileCamera(
        name,
        name,
        (right - left + 1, bottom - top + 1),
        camera_matrix(fx * scale, fy * scale, cx * scale - left, cy * scale - top, _skew(camera) * scale),
        # no unit: Pose2Sim divides these by 64 too, which loses most of the distortion
        tuple(distortions),
        False,
        rotation,
        -rotation @ np.array(pose[:3]),
    )


def _skew(camera: Element) -> float:
    """Absent in older files."""
    found = camera.find("intrinsic")
    return float((found.get("skew") if found is not None else None) or 0)


def _attributes(camera: Element, tag: str, names: Sequence[str], label: str) -> list[float]:
    element = camera.find(tag)
    if element is None:
        raise InputError(f"{label}: <{tag}> is missing.")
    try:
        return [float(element.attrib[name]) for name in names]
    except KeyError as error:
        raise InputError(f"{label}: <{tag}> has no attribute {error}.") from error
    except ValueError as error:
        raise InputError(f"{label}: <{tag}> holds something that is no number: {error}.") from error


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    root = Element("calibration", source=path.name, type="regular")
    parent = SubElement(root, "cameras")
    for camera in cameras:
        _element(parent, camera)
    ElementTree.indent(root)
    return {path: ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)}


def _element(parent: Element, camera: FileCamera) -> None:
    width, height = whole_size(camera)
    rotation, translation = placed(camera, 1000.0)
    pose = [*(-rotation.T @ translation), *(_OURS @ rotation).ravel()]
    matrix = camera.matrix * _SUBPIXELS
    values = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *lens(camera, 5)]
    view = dict(zip(_SIDES, ("0", "0", str(width - 1), str(height - 1)), strict=True))
    element = SubElement(parent, "camera", active="1", serial=camera.name, model="none", viewrotation="0")
    for tag in ("fov_video", "fov_video_max"):
        SubElement(element, tag, view)
    SubElement(element, "transform", _named(_POSE, pose))
    SubElement(
        element,
        "intrinsic",
        _named(_LENS, values)
        | _named(("sensorMinU", "sensorMinV"), (0.0, 0.0))
        | _named(("sensorMaxU", "sensorMaxV"), (_SUBPIXELS * (width - 1), _SUBPIXELS * (height - 1)))
        | _named(("skew",), (float(matrix[0, 1]),)),
    )


def _named(names: Sequence[str], values: Sequence[float]) -> dict[str, str]:
    return {name: repr(float(value)) for name, value in zip(names, values, strict=True)}


QUALISYS = CalibrationFormat(
    key="qualisys",
    title="Qualisys .qca.txt",
    place="a .qca.txt",
    recognises=lambda path, text: text.lstrip("\ufeff \r\n\t").startswith("<") and "<calibration" in text,
    read=_read,
    write=_write,
    means=lambda path: path.name.casefold().endswith(".qca.txt"),
    unit="mm",
    intrinsics_only=False,
    world="kept as it is; Qualisys' own has z up",
)
