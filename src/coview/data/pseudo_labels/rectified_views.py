"""What a static rig saw, through lenses and changing crops, as one set of perfect lenses would have seen it."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.metric_rig import evenly
from coview.cameras import Cameras

# instants that the reference is taken from, at most
SOME = 4096


def reference_cameras(cameras: Cameras) -> Cameras:
    """One camera per view for `cameras` (instants × views) of a rig: the median intrinsics, a perfect lens.

    float64; extrinsics are the identity, whatever those of `cameras` are. The size is the first instant's."""
    some = cameras[evenly(len(cameras), SOME)]
    intrinsics = some.intrinsics.double().nanmedian(dim=0).values
    nowhere = torch.eye(3, 4, dtype=torch.float64).expand(len(intrinsics), 3, 4)
    return Cameras.make(intrinsics, nowhere.clone(), some.size[0].double())


def in_reference(
    cameras: Cameras, reference: Cameras, pixels: Float[Tensor, "instants views joints 2"]
) -> Float[Tensor, "instants views joints 2"]:
    """Pixels of `cameras` (instants × views) as pixels of `reference` (views), by way of the plane at depth one.

    Float64. A crop, a resize or a lens changes pixels and intrinsics together, and leaves this answer alone. NaN
    where the pixel is."""
    valid = pixels.isfinite().all(dim=-1, keepdim=True)
    flat = cameras.to(torch.float64).normalise(torch.where(valid, pixels, 0.0).double())
    matrix, middle = reference.intrinsics[:, :2, :2], reference.principal_point[:, None]
    return torch.where(valid, flat @ matrix.mT + middle, torch.nan)


def with_extrinsics(cameras: Cameras, cam_from_world: Float[Tensor, "*instants views 3 4"]) -> Cameras:
    """The lenses of `cameras` (instants × views) in other places."""
    return replace(cameras, cam_from_world=cam_from_world.to(cameras.intrinsics))
