"""Observations of a static rig with distortion and varying crops, mapped to one set of perfect pinhole cameras."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.sampling import evenly

# instants from which the reference is computed, at most
SOME = 4096


def reference_cameras(cameras: Cameras) -> Cameras:
    """One pinhole camera per view: the median intrinsics of a rig's instants. float64, identity extrinsics.

    Args:
        cameras: of a rig, instants × views; extrinsics are ignored. The image size is the first instant's."""
    some = cameras[evenly(len(cameras), SOME)]
    intrinsics = some.intrinsics.double().nanmedian(dim=0).values
    nowhere = torch.eye(3, 4, dtype=torch.float64).expand(len(intrinsics), 3, 4)
    return Cameras.make(intrinsics, nowhere.clone(), some.size[0].double())


def in_reference(
    cameras: Cameras, reference: Cameras, pixels: Float[Tensor, "instants views joints 2"]
) -> Float[Tensor, "instants views joints 2"]:
    """Pixels of changing cameras as pixels of the reference cameras, through normalised image coordinates.

    Invariant to crops, resizing and distortion, which change pixels and intrinsics together. In float64.

    Args:
        cameras: that observed, instants × views.
        reference: pinhole camera of each view.
        pixels: of `cameras`; NaN stays NaN."""
    valid = pixels.isfinite().all(dim=-1, keepdim=True)
    flat = cameras.to(torch.float64).normalise(torch.where(valid, pixels, 0.0).double())
    matrix, middle = reference.intrinsics[:, :2, :2], reference.principal_point[:, None]
    return torch.where(valid, flat @ matrix.mT + middle, torch.nan)


def with_extrinsics(cameras: Cameras, cam_from_world: Float[Tensor, "*instants views 3 4"]) -> Cameras:
    """The same intrinsics with other extrinsics.

    Args:
        cameras: instants × views.
        cam_from_world: of every camera."""
    return replace(cameras, cam_from_world=cam_from_world.to(cameras.intrinsics))
