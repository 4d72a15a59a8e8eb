"""The animated 3D scene as one HTML document: skeleton, cameras, floor. Made by viser [Yi25]; the only
module of the report that imports it."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import MissingPackageError
from coview.formats.motion.poses3d import Poses3D
from coview.report.colours import CAMERA, bone_colours, side_colour
from coview.report.eye import enclosing_eye, free_azimuth, near_cameras

MOST_FRAMES, MOST_RATE = 500, 30.0  # of the animation: about twenty seconds in a megabyte
MOST_PEOPLE = 4  # of the animation: each adds up to a megabyte
# The viewer's pop-up about software rendering would cover the scene.
_QUIET = "<style>.mantine-Notifications-root { display: none }</style>"
_FIELD_OF_VIEW = 0.85  # radians, vertical, of the eye
# width over height of the picture that the cameras must fit in; the page's frame is never narrower
_ASPECT = 1.6
_STEEP = 0.7  # of the view from above: metres down per metre ahead
_NEAREST = 3.0  # metres from the eye to the person at least
_BODY, _FRUSTUM = 0.1, 0.35  # metres around joints and around a camera's centre to be seen too


@dataclass(frozen=True)
class SceneDocument:
    """A document, and which frames it plays."""

    html: str
    first: int
    last: int
    step: int


def make_scene(
    poses: Poses3D, cameras: Cameras | None, names: tuple[str, ...], others: Sequence[Poses3D] = ()
) -> SceneDocument:
    """The animated 3D scene: the joints at real speed, z up, and the cameras where they are known.

    Long recordings are cut to the part with most joints. The view follows `poses`.

    Args:
        poses: 3D joints of the first person.
        cameras: The cameras, or None.
        names: Names of the cameras.
        others: 3D joints of other people in the same recording; shown as far as `MOST_PEOPLE` allows.

    Returns:
        The document, and which frames it plays.

    Raises:
        MissingPackageError: viser is missing; the text names the extra to install.
    """
    try:
        import viser
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "the 3D scene needs viser, which is not installed. Run: pip install 'coview[view]'"
        ) from error
    first, last, step = playing(poses)
    points = poses.points[first:last:step]
    with contextlib.redirect_stdout(io.StringIO()):  # viser announces its (unused) web address
        server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
        try:
            beside = [other.points[first:last:step] for other in others[: MOST_PEOPLE - 1]]
            document = _record(server, [points, *beside], poses, cameras, names, step / poses.fps)
        finally:
            server.stop()
    return SceneDocument(document, first, last, step)


def playing(poses: Poses3D) -> tuple[int, int, int]:
    """The frames of the animation: the stretch with most valid joints.

    Args:
        poses: 3D joints.

    Returns:
        First frame, one-past-last frame, step.
    """
    step = max(1, round(poses.fps / MOST_RATE))
    length = min(len(poses.points), MOST_FRAMES * step)
    valid = poses.points.isfinite().all(dim=-1).double().mean(dim=-1)
    sums = torch.nn.functional.pad(valid.cumsum(0), (1, 0))
    first = int((sums[length:] - sums[: len(valid) - length + 1]).argmax())
    return first, first + length, step


def _record(
    server: Any,
    everybody: list[Tensor],
    poses: Poses3D,
    cameras: Cameras | None,
    names: tuple[str, ...],
    seconds: float,
) -> str:
    scene = server.scene
    scene.set_up_direction("+z")
    low, high = _way(everybody[0])
    centre = (low + high) / 2
    _place_eye(server, low, high, cameras)
    floor = max(4.0, float(np.linalg.norm(high - low)), *_far(cameras, centre))
    scene.add_grid(
        "/floor",
        width=2 * np.ceil(floor / 2 + 1),
        height=2 * np.ceil(floor / 2 + 1),
        position=(round(float(centre[0])), round(float(centre[1])), 0.0),
        cell_color=(205, 210, 216),
        section_color=(165, 172, 180),
    )
    if cameras is not None:
        _add_cameras(scene, cameras, names)
    return _animate(server, everybody, poses, seconds)


def _animate(server: Any, everybody: list[Tensor], poses: Poses3D, seconds: float) -> str:
    """Bones and joints of the first frame, then what changes from frame to frame; all have the same skeleton."""
    whole = [filled(points).float().numpy() for points in everybody]
    ends = np.array(poses.skeleton.bone_indices).reshape(-1, 2)
    drawn = [
        _add_person(server.scene, "/person" if not n else f"/person{n + 1}", frames[0], ends, poses)
        for n, frames in enumerate(whole)
    ]
    recording = server.get_scene_serializer()
    for frames in zip(*whole, strict=True):
        for (bones, joints), frame in zip(drawn, frames, strict=True):
            bones.points = frame[ends]
            joints.points = frame
        recording.insert_sleep(seconds)
    document: str = recording.as_html()
    return document.replace("</head>", _QUIET + "</head>", 1)


def _add_person(
    scene: Any, name: str, frame: np.ndarray, ends: np.ndarray, poses: Poses3D
) -> tuple[Any, Any]:
    paint = _linear(np.array(bone_colours(poses.skeleton)).reshape(-1, 3))
    dots = np.array([side_colour(joint) for joint in poses.skeleton.joints], dtype=np.uint8)
    bones = scene.add_line_segments(
        f"{name}/bones", points=frame[ends], colors=np.repeat(paint[:, None], 2, axis=1), thickness=0.04
    )
    joints = scene.add_point_cloud(
        f"{name}/joints", frame, dots, point_size=0.045, point_shape="circle", precision="float32"
    )
    return bones, joints


def _linear(colours: np.ndarray) -> np.ndarray:
    """sRGB as the linear light that viser's lines are given in (its points take sRGB)."""
    return (255 * (colours / 255) ** 2.2).round().astype(np.uint8)


def filled(points: Float[Tensor, "frames joints 3"]) -> Float[Tensor, "frames joints 3"]:
    """Joints for drawing, without NaN: the viewer cannot draw it.

    Args:
        points: Joints; NaN where not valid.

    Returns:
        The joints; invalid ones lie inside a valid joint of the frame, and below the floor where it has none.
    """
    valid = points.isfinite().all(dim=-1)
    shelter = valid.float().argmax(dim=-1)[:, None, None].expand(-1, 1, 3)
    inside = points.gather(1, shelter).nan_to_num(0.0)
    hidden = torch.where(valid.any(dim=-1)[:, None, None], inside, points.new_tensor([0.0, 0.0, -100.0]))
    return torch.where(valid[..., None], points, hidden)


def _way(points: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of the box around the person's way, outliers left out; metres."""
    valid = points[points.isfinite().all(dim=-1)].double()
    if not len(valid):
        return np.array([-0.5, -0.5, 0.0]), np.array([0.5, 0.5, 2.0])
    low, high = torch.quantile(
        valid[:: -(-len(valid) // 100_000)], torch.tensor([0.02, 0.98]).double(), dim=0
    )
    return low.numpy(), high.numpy()


def _place_eye(server: Any, low: np.ndarray, high: np.ndarray, cameras: Cameras | None) -> None:
    """Look from between two cameras, a little from above, so that the person's way and all cameras are seen."""
    centre = (low + high) / 2
    azimuth = free_azimuth(cameras, centre)
    forward = -np.array([np.cos(azimuth), np.sin(azimuth), _STEEP])
    forward /= np.linalg.norm(forward)
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
    stands = near_cameras(cameras, centre)
    radii = np.repeat([_BODY, _FRUSTUM], [len(corners), len(stands)])
    up = np.tan(_FIELD_OF_VIEW / 2)
    eye = enclosing_eye(np.concatenate([corners, stands]), radii, forward, (_ASPECT * up, up))
    away = (centre - eye) @ forward
    server.initial_camera.fov = _FIELD_OF_VIEW
    server.initial_camera.position = tuple(eye - max(_NEAREST - away, 0.0) * forward)
    server.initial_camera.look_at = tuple(eye + away * forward)


def _far(cameras: Cameras | None, centre: np.ndarray) -> list[float]:
    """Twice the distance of the farthest camera over ground."""
    if cameras is None:
        return []
    return [2 * float(np.linalg.norm(cameras.centres.double().numpy() - centre, axis=1).max())]


def _add_cameras(scene: Any, cameras: Cameras, names: tuple[str, ...]) -> None:
    cameras = cameras.to(torch.float64)
    turns = Rotation.from_matrix(cameras.rotation.mT.numpy()).as_quat()[:, [3, 0, 1, 2]]
    # an image size nobody stated is twice the principal point
    sizes = torch.where(cameras.size.isfinite(), cameras.size, 2 * cameras.principal_point + 1)
    for view, name in enumerate(names):
        width, height = sizes[view].tolist()
        scene.add_camera_frustum(
            f"/cameras/{view}",
            fov=float(2 * torch.atan(sizes[view, 1] / (2 * cameras.focal[view, 1]))),
            aspect=width / height,
            scale=0.35,
            thickness=0.012,
            color=CAMERA,
            wxyz=turns[view],
            position=cameras.centres[view].numpy(),
        )
        scene.add_label(f"/cameras/{view}/name", name, font_screen_scale=0.9)
