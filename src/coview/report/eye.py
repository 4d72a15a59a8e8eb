"""Where to stand to see a person between cameras: for the animated 3D scene and for the still picture."""

import numpy as np
from jaxtyping import Float

from coview.cameras import Cameras

_FAR = 3.0  # times the median distance of the cameras; one that is farther may be out of the picture


def free_azimuth(cameras: Cameras | None, centre: Float[np.ndarray, "3"]) -> float:
    """Direction from `centre` in which no camera is in the way: the middle of the widest gap between them.

    Args:
        cameras: None: not known, any direction is as good.
        centre: metres, z up.

    Returns:
        Radians from x towards y."""
    if cameras is None:
        return -0.9
    to_cameras = cameras.centres.double().numpy() - centre
    angles = np.sort(np.arctan2(to_cameras[:, 1], to_cameras[:, 0]))
    gaps = np.diff(np.append(angles, angles[0] + 2 * np.pi))
    widest = int(gaps.argmax())
    return float(angles[widest] + gaps[widest] / 2)


def near_cameras(cameras: Cameras | None, centre: Float[np.ndarray, "3"]) -> Float[np.ndarray, "cameras 3"]:
    """Centres of the cameras that are not far beyond the others.

    Args:
        cameras: The cameras; None: not known.
        centre: Where the person is, metres, z up.

    Returns:
        Metres; without cameras farther than three times the median distance, which would make the person a dot.
    """
    if cameras is None:
        return np.zeros((0, 3))
    centres = cameras.centres.double().numpy()
    distance = np.linalg.norm(centres - centre, axis=1)
    near: np.ndarray = centres[distance <= _FAR * np.median(distance)]
    return near


def enclosing_eye(
    points: Float[np.ndarray, "points 3"],
    radii: Float[np.ndarray, "points"],
    forward: Float[np.ndarray, "3"],
    slopes: tuple[float, float],
) -> Float[np.ndarray, "3"]:
    """The nearest place of an upright pinhole eye, looking along `forward`, that has all balls in its picture.

    Exact: each of the four planes of the field of view touches a ball, or its opposite one would cut one off.

    Args:
        points: centres of the balls, metres, z up.
        radii: of the balls, metres.
        forward: direction of sight, of any length but not vertical.
        slopes: tangent of half the field of view, across and up.

    Returns:
        The eye, metres."""
    ahead = forward / np.linalg.norm(forward)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(right, ahead), ahead])
    *sides, depth = axes @ points.T
    depths, bounds = [], []
    for side, slope in zip(sides, slopes, strict=True):
        # |side - eye| <= slope (depth - eye's depth) - radius sqrt(1 + slope²), for every ball
        room = slope * depth - radii * np.hypot(1.0, slope)
        least, most = (side - room).max(), (side + room).min()
        bounds.append((least + most) / 2)
        depths.append((most - least) / (2 * slope))
    eye: np.ndarray = np.array([*bounds, min(depths)]) @ axes
    return eye
