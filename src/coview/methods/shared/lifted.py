"""The input of a lifter and its prediction: the values that `lifting` and the methods built on it exchange."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from coview.methods.shared.base import CameraPoses


@dataclass(frozen=True, kw_only=True)
class LifterInput:
    """2D joints as a lifter reads them, root-centred, in the frame that it works in: image or ray frame."""

    # root at the origin; pixels in image frames (orthographic), focal lengths in ray frames (perspective)
    joints: Float[Tensor, "*batch views joints 2"]
    # in [0, 1]; 0 for a joint that was not detected, and for all joints of a view whose root was not
    confidence: Float[Tensor, "*batch views joints"]
    # rotation into the frame whose z axis goes through the root joint; the identity under orthographic projection
    ray_from_camera: Float[Tensor, "*batch views 3 3"]


@dataclass(frozen=True, kw_only=True)
class LiftedPoses(CameraPoses):
    """A pose in a frame shared by all views, and per view the rotation from there: what the losses compare."""

    # root-centred, unknown size, the frame shared by all views; finite
    canonical: Float[Tensor, "*batch views joints 3"]
    # rotation into the ray frame (the camera frame itself under orthographic projection)
    ray_from_canonical: Float[Tensor, "*batch views 3 3"]
    # what the prediction was made from
    observed: LifterInput


def flattened(lifted: LiftedPoses) -> LiftedPoses:
    """The same poses with all leading axes joined into one batch axis.

    Args:
        lifted: Poses with any number of leading axes, none included.

    Returns:
        The same values, each tensor `batch views …`.
    """
    return LiftedPoses(
        joints3d=_flat(lifted.joints3d, 3),
        canonical=_flat(lifted.canonical, 3),
        ray_from_canonical=_flat(lifted.ray_from_canonical, 3),
        observed=flattened_input(lifted.observed),
    )


def flattened_input(observed: LifterInput) -> LifterInput:
    """The same 2D joints with all leading axes joined into one batch axis.

    Args:
        observed: Input of a lifter with any number of leading axes, none included.

    Returns:
        The same values, each tensor `batch views …`.
    """
    return LifterInput(
        joints=_flat(observed.joints, 3),
        confidence=_flat(observed.confidence, 2),
        ray_from_camera=_flat(observed.ray_from_camera, 3),
    )


def _flat(tensor: Tensor, own: int) -> Tensor:
    """All axes before the last `own` joined into one."""
    return tensor.flatten(0, -own - 1) if tensor.ndim > own else tensor[None]
