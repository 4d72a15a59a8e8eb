"""A session folder from arrays: the 2D joints of one person, and what is known of the cameras."""

from collections.abc import Sequence
from pathlib import Path

import torch

from coview.api.arrays import ArrayLike, read
from coview.api.axes import Axis, expect
from coview.api.views import read_confidence
from coview.cameras import Cameras
from coview.errors import InputError, OccupiedError
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import FILE, Session, SessionCamera
from coview.skeletons import Skeleton

GIVEN = "given_calibration.toml"  # in the session: the cameras that came with the arrays


def write_session(
    path: Path,
    pixels: ArrayLike,
    confidence: ArrayLike | None,
    *,
    fps: float,
    skeleton: Skeleton,
    image_size: ArrayLike | None,
    camera_names: Sequence[str] | None,
    calibration: Calibration | Cameras | None,
) -> Session:
    """Write the folder of a session; everything is checked before anything is written.

    Args:
        path: Folder to make.
        pixels: (frames, views, joints, 2), as filmed; NaN: not seen.
        confidence: (frames, views, joints), in [0, 1]; None: 1 wherever the pixels are not NaN.
        fps: Frames per second.
        skeleton: Of the joints.
        image_size: (views, 2) or (2,): width, height in pixels; None: the calibration's.
        camera_names: None: the calibration's, or cam_1, cam_2, ...
        calibration: Known cameras, or their intrinsics alone.

    Returns:
        The session.

    Raises:
        InputError, OccupiedError: Arrays in another layout; a session that is there already."""
    if (path / FILE).exists():
        raise OccupiedError(f"{path} already holds a session. Choose another folder, or remove it first.")
    values = read("pixels", pixels)[0].detach().cpu()
    expect("pixels", values, Axis("frames"), Axis("views"), Axis("joints"), Axis("", 2), batch=False)
    given_calibration = _named_calibration(calibration, camera_names)
    names = tuple(camera_names or ()) or (
        given_calibration.names if given_calibration else _numbered(values.shape[1])
    )
    axes = Axis("frames"), Axis("views", len(names)), Axis("joints", len(skeleton)), Axis("", 2)
    expect("pixels", values, *axes, batch=False)
    points = torch.cat([values, read_confidence(confidence, values)[..., None]], dim=-1)
    sizes = _sizes(image_size, given_calibration, len(names))
    cameras = (SessionCamera(name, size, None, len(points)) for name, size in zip(names, sizes, strict=True))
    provenance = {"source": "arrays"}
    if given_calibration is not None:
        provenance["calibration_source"] = str((path / GIVEN).resolve())
    made = Session(path, path.resolve().name, fps, skeleton, tuple(cameras), provenance)
    if given_calibration is not None:
        write_calibration(given_calibration, path / GIVEN)
    write_detections(made.detections_dir, names, Detections.make(points.transpose(0, 1)[:, :, None]))
    made.save()
    return made


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"cam_{view + 1}" for view in range(count))


def _named_calibration(
    calibration: Calibration | Cameras | None, names: Sequence[str] | None
) -> Calibration | None:
    if not isinstance(calibration, Cameras):
        return calibration
    if names is not None and len(names) != len(calibration):
        raise InputError(f"camera_names: {len(names)} names for {len(calibration)} cameras.")
    cameras = calibration.to("cpu", torch.float64)
    return Calibration(tuple(names or _numbered(len(cameras))), cameras, {"source": "given as arrays"})


def _sizes(
    given: ArrayLike | None, given_calibration: Calibration | None, views: int
) -> list[tuple[int, int] | None]:
    if given is None:
        return (
            [None] * views
            if given_calibration is None
            else [(round(w), round(h)) for w, h in given_calibration.cameras.size.tolist()]
        )
    sizes = read("image_size", given)[0]
    sizes = sizes.expand(views, 2) if tuple(sizes.shape) == (2,) else sizes
    expect("image_size", sizes, Axis("views", views), Axis("", 2), batch=False)
    return [(round(w), round(h)) for w, h in sizes.tolist()]
