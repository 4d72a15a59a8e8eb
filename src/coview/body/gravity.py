"""The direction of gravity and the height of the floor: a world with z up.

Two independent estimates are fused. A person stands on the feet, so the hips are above them on average. Cameras are
mostly mounted level, so their x axes are horizontal; a tilted one is an outlier and gets little weight.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import ANKLE_HEIGHT
from coview.errors import InputError
from coview.skeletons import Skeleton

_LOW = ("left_heel", "right_heel", "left_big_toe", "right_big_toe", "left_ankle", "right_ankle", "left_toe")
# metres: stature from which the height of the ankles above the floor is estimated
ADULT = 1.7
# standard deviation of a person's mean stance from the vertical, besides its variation within the take
_LEAN = math.radians(4.0)
# standard deviation of the roll of a camera that was mounted level
_ROLL = math.radians(3.0)


@dataclass(frozen=True)
class Upright:
    """The gravity-aligned world: origin on the floor, z up, the first camera looking along +y."""

    # rigid motion, metres
    world_from_new: Float[Tensor, "3 4"]
    # unit vector in the old world
    up: Float[Tensor, "3"]
    # standard deviation of the vertical, radians
    sigma: float
    # in words
    source: str

    @property
    def words(self) -> str:
        """The source of the vertical and its standard deviation, for reports."""
        return f"{self.source}, ± {math.degrees(self.sigma):.1f}°"


def upright_from_body(
    points: Float[Tensor, "frames joints 3"],
    skeleton: Skeleton,
    cam_from_world: Float[Tensor, "views 3 3"],
) -> Upright:
    """The vertical from hips above feet, averaged over the take, and from the x axes of level cameras.

    The answer is meaningless for a take that is all lying or crawling while all cameras are tilted.

    Args:
        points: joints in metres, in any world frame; NaN: unknown.
        skeleton: of the joints; needs ankles and hips.
        cam_from_world: rotations of the cameras in that frame.

    Returns:
        The transform to the new world, the vertical and its standard deviation.

    Raises:
        ValueError: the skeleton lacks ankles or hips, or they were never reconstructed in the same frame."""
    stance = _stance(points, skeleton)
    body = torch.nn.functional.normalize(_middle_direction(stance), dim=0)
    variation = float((stance - body).norm(dim=-1).median())
    body_sigma = math.hypot(_LEAN, variation)
    up, sigma, level = _with_level_cameras(body, body_sigma, cam_from_world[:, 0])
    source = f"hips above feet over {len(stance)} frames, and {level} of {len(cam_from_world)} cameras level"
    return Upright(_frame(points, skeleton, up, cam_from_world[0]), up, sigma, source)


def _stance(points: Tensor, skeleton: Skeleton) -> Tensor:
    """Unit direction from between the ankles to between the hips, for the frames that have both."""
    feet = _middle(points, skeleton, ("left_ankle", "right_ankle"))
    hips = _middle(points, skeleton, ("left_hip", "right_hip"))
    valid = (hips - feet).isfinite().all(dim=-1)
    if not bool(valid.any()):
        raise InputError(
            "gravity cannot be found from the body: both ankles and both hips were never reconstructed in the same "
            "frame. Record the whole person, from head to feet, in at least two cameras at once."
        )
    return torch.nn.functional.normalize((hips - feet)[valid], dim=-1)


def _middle(points: Tensor, skeleton: Skeleton, names: tuple[str, str]) -> Tensor:
    missing = [name for name in names if name not in skeleton.joints]
    if missing:
        raise InputError(
            f"gravity from the body needs {' and '.join(names)}; skeleton '{skeleton.name}' has no "
            f"{' or '.join(missing)}."
        )
    return torch.stack([points[:, skeleton.index(name)] for name in names]).mean(dim=0)


def _middle_direction(directions: Tensor) -> Tensor:
    """Geometric median (Weiszfeld's iteration), which is robust to a few crouches."""
    middle = directions.mean(dim=0)
    for _ in range(30):
        off = (directions - middle).norm(dim=-1).clamp(min=0.02)
        middle = (directions / off[:, None]).sum(dim=0) / (1 / off).sum()
    return middle


def _with_level_cameras(body: Tensor, body_sigma: float, across: Tensor) -> tuple[Tensor, float, int]:
    """The vertical that maximises the fused likelihood, its standard deviation, and the number of level cameras.

    It is the eigenvector of least eigenvalue of the summed information; a camera's weight falls with its roll (Cauchy
    weights, iterated)."""
    eye = torch.eye(3, dtype=body.dtype)
    from_body = (eye - body[:, None] * body) / body_sigma**2
    up = body
    for _ in range(50):
        weight = 1 / (1 + (across @ up / _ROLL) ** 2)
        information = (
            from_body + (weight[:, None, None] * across[:, :, None] * across[:, None]).sum(0) / _ROLL**2
        )
        values, vectors = torch.linalg.eigh(information)
        up = vectors[:, 0] * torch.sign(vectors[:, 0] @ body)
    return up, float((values[1] - values[0]) ** -0.5), int((weight > 0.2).sum())


def _frame(points: Tensor, skeleton: Skeleton, up: Tensor, first_camera: Tensor) -> Tensor:
    """World-from-new: x to the right of the first camera, y away from it, z up; origin on the floor below the body."""
    forward = first_camera[2] - (first_camera[2] @ up) * up
    # the camera looks straight down: take its image-up instead
    if float(forward.norm()) < 1e-3:
        forward = -first_camera[1] + (first_camera[1] @ up) * up
    forward = forward / forward.norm()
    world_from_new = torch.stack([torch.linalg.cross(forward, up), forward, up], dim=-1)
    # in the new axes: the same from any world
    middle = (points.flatten(0, 1) @ world_from_new).nanmedian(dim=0).values
    middle[2] = _floor(points, skeleton, up)
    origin = world_from_new @ middle
    return torch.cat([world_from_new, origin[:, None]], dim=-1)


def _floor(points: Tensor, skeleton: Skeleton, up: Tensor) -> Tensor:
    """Height of the floor along `up`: a low quantile of the lowest foot joint."""
    low = [name for name in _LOW if name in skeleton.joints]
    heights = points[:, [skeleton.index(name) for name in low]] @ up
    lowest = torch.nan_to_num(heights, nan=torch.inf).amin(dim=-1)
    floor = lowest[lowest.isfinite()].quantile(0.05)
    only_ankles = all(name.endswith("ankle") for name in low)
    return floor - ANKLE_HEIGHT * ADULT if only_ankles else floor
