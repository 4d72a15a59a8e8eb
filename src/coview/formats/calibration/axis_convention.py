"""The convention of camera axes in a file, judged by whether the cameras look at one place."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from coview.formats.calibration.file_camera import FileCamera, extrinsics

# by how much another convention must score better to be taken
_CLEARLY = 0.25
# score, of 1 at most, from which most cameras look at one place
_GOOD = 0.6
# inverse condition number below which the axes are parallel and meet nowhere
_PARALLEL = 1e-3


def orientation_notes(cameras: Sequence[FileCamera], path: Path) -> list[str]:
    """Notes where most cameras look away from their common point, or are upside down in a world with z up.

    Args:
        cameras: Cameras of one file. One camera, cameras without extrinsics and parallel optical axes give no note.
        path: The file, for the notes.

    Returns:
        Notes for the user; empty where nothing is suspicious.
    """
    seen = _in_front_upright_apart(cameras)
    if seen is None:
        return []
    in_front, upright, _ = seen
    found = []
    if in_front <= 0.5:
        found.append("their optical axes meet behind most of them")
    if upright < 0.5:
        found.append("most of them stand on their heads (the images' upper side has negative z)")
    return [
        f"{path.name}: {what}; check the calibration against 2D joints (`coview calib convert … --check SESSION`)."
        for what in found
    ]


def most_plausible(
    cameras: Sequence[FileCamera], conventions: Sequence[tuple[str, np.ndarray, bool]]
) -> tuple[tuple[FileCamera, ...], str, tuple[tuple[str, tuple[FileCamera, ...]], ...]]:
    """The cameras under the first of several axis conventions, unless another one fits clearly better.

    The score of a convention is the share of cameras with their common point in front of them, less how far the optical
    axes pass from that point. Whether a camera is upright says nothing: some are mounted upside down, so conventions
    that differ by half a turn about the optical axis are told apart by what the cameras saw, and by nothing here.
    Camera centres do not depend on the convention.

    Args:
        cameras: Cameras as read from the file under no convention.
        conventions: Name, 3×3 change of the camera's axes (applied on the left), and whether the file's rotation is
            camera→world. The first is the default.

    Returns:
        The cameras under the convention chosen; which it was, in words; and the cameras under every convention. With
        one camera, or parallel optical axes, the first convention is taken untested.
    """
    variants = [
        tuple(_with_axes(c, axes_change, transposed) for c in cameras)
        for _, axes_change, transposed in conventions
    ]
    readings = tuple((said, variant) for (said, _, _), variant in zip(conventions, variants, strict=True))
    scores = [_score(variant) for variant in variants]
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[0] >= _GOOD:
        said = f"{conventions[0][0]}, with which the cameras look at one place"
        return variants[0], said, readings
    if scores[best] < max(_GOOD, scores[0] + _CLEARLY):
        said = f"{conventions[0][0]}; where these cameras look cannot confirm it"
        return variants[0], said, readings
    said = (
        f"{conventions[best][0]}, and not {conventions[0][0]}, because only so the cameras look at one place"
    )
    return variants[best], said, readings


def _with_axes(camera: FileCamera, axes_change: np.ndarray, transposed: bool) -> FileCamera:
    rotation, translation = extrinsics(camera)
    centre = -rotation.T @ translation
    camera_from_world = axes_change @ (rotation.T if transposed else rotation)
    return replace(camera, rotation=camera_from_world, translation=-camera_from_world @ centre)


def _score(cameras: Sequence[FileCamera]) -> float:
    """1 for cameras that all look at one place; 0 where their axes determine none."""
    seen = _in_front_upright_apart(cameras)
    return 0.0 if seen is None else seen[0] - min(seen[2], 1.0)


def _in_front_upright_apart(cameras: Sequence[FileCamera]) -> tuple[float, float, float] | None:
    """Share of cameras with the place all axes come nearest to in front; share whose image's upper side has +z; how
    far the axes pass from that place, relative to its distance. None where the axes determine no such place."""
    if len(cameras) < 2 or any(camera.rotation is None for camera in cameras):
        return None
    rotations = np.stack([extrinsics(camera)[0] for camera in cameras])
    centres = np.stack([-r.T @ extrinsics(c)[1] for r, c in zip(rotations, cameras, strict=True)])
    # row 2 of camera-from-world: the optical axis in the world
    axes = rotations[:, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None]
    total = across.sum(axis=0)
    if np.linalg.cond(total) > 1 / _PARALLEL:
        return None
    place = np.linalg.solve(total, (across @ centres[..., None]).sum(axis=0))[:, 0]
    ahead = ((place - centres) * axes).sum(axis=-1)
    missed = np.linalg.norm((across @ (place - centres)[..., None])[..., 0], axis=-1)
    distance = np.median(np.linalg.norm(place - centres, axis=-1))
    upright = -rotations[:, 1, 2] > 0
    return float((ahead > 0).mean()), float(upright.mean()), float(missed.mean() / distance)
