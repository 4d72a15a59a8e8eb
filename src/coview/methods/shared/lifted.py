"""What a lifter saw and what it made of it: the values that `lifting` and its methods exchange."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from coview.methods.shared.base import CameraPoses


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The 2D side of a batch, in the frame that the network works in."""

    joints: Float[
        Tensor, "*batch views joints 2"
    ]  # root at the origin; pixels, or focal lengths in ray frames
    confidence: Float[Tensor, "*batch views joints"]  # 0 for what was not seen
    ray_from_camera: Float[Tensor, "*batch views 3 3"]  # identity under orthography


@dataclass(frozen=True, kw_only=True)
class LiftedPoses(CameraPoses):
    """What the losses compare: poses without camera, and cameras without pose."""

    canonical: Float[Tensor, "*batch views joints 3"]  # root-centred, the frame shared by all views
    ray_from_canonical: Float[Tensor, "*batch views 3 3"]  # the camera frame itself under orthography
    seen: Seen


def flattened(lifted: LiftedPoses) -> LiftedPoses:
    """The same with one batch axis."""
    return LiftedPoses(
        joints3d=_flat(lifted.joints3d, 3),
        canonical=_flat(lifted.canonical, 3),
        ray_from_canonical=_flat(lifted.ray_from_canonical, 3),
        seen=flattened_seen(lifted.seen),
    )


def flattened_seen(seen: Seen) -> Seen:
    """The same with one batch axis."""
    return Seen(
        joints=_flat(seen.joints, 3),
        confidence=_flat(seen.confidence, 2),
        ray_from_camera=_flat(seen.ray_from_camera, 3),
    )


def _flat(tensor: Tensor, own: int) -> Tensor:
    return tensor.flatten(0, -own - 1) if tensor.ndim > own else tensor[None]
