"""Inputs, targets and checks that methods for canonical poses share. Like `base` and `triplets`, this is no method."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.methods.shared.base import Fact
from coview.methods.shared.triplets import rms_deviation
from coview.representations.normalised import image_rays, ray_from_camera, rotated_rays
from coview.sample import MultiView

# least total weight that a mean divides by
_TINY = 1e-6
# least number of detected joints in a view; ours
_FEWEST = 4
# root-mean-square distance of unit vectors from their mean; about 1 where they are spread out
_COLLAPSED = 0.1


def person_centred_rays(
    batch: MultiView, focal: float
) -> tuple[
    Float[Tensor, "*batch views joints 2"],
    Float[Tensor, "*batch views joints"],
    Bool[Tensor, "*batch views"],
    Float[Tensor, "*batch views 3 3"],
]:
    """2D joints as a camera would see them that is rotated to look at the weighted mean of the joints.

    Args:
        batch: `joints2d` (pixels), `confidence` and `image_size`.
        focal: Assumed focal length in image diagonals.

    Returns:
        Image positions x/z and y/z in the rotated camera, at the mean for joints that were not detected; weights,
        the confidences, 0 for joints that were not detected; which views have at least four detected joints; and
        the rotation into the axes of the rotated camera from those of the real one. All finite.
    """
    seen = batch.joints2d.isfinite().all(dim=-1) & (batch.confidence > 0)
    weights = torch.where(seen, batch.confidence, 0.0)
    rays = image_rays(torch.where(seen[..., None], batch.joints2d, 0.0), batch.image_size, focal)
    mean = (weights[..., None] * rays).sum(dim=-2) / weights.sum(dim=-1).clamp_min(_TINY)[..., None]
    rays = torch.where(seen[..., None], rays, mean[..., None, :])
    rotation = ray_from_camera(mean)
    return rotated_rays(rays, rotation), weights, seen.sum(dim=-1) >= _FEWEST, rotation


def complete_poses(targets: Sequence[Tensor], method: str) -> Float[Tensor, "poses numbers"]:
    """Target poses of all batches without those that have an unknown coordinate.

    Args:
        targets: Per batch, coordinates of canonical poses, NaN where there is no label; poses of numbers along the
            last axis.
        method: Name of the method, for the error.

    Returns:
        Float64, on the CPU, in the unit of the targets.

    Raises:
        InputError: Fewer than two poses are complete.
    """
    poses = torch.cat([target.reshape(-1, target.shape[-1]).cpu() for target in targets])
    poses = poses[poses.isfinite().all(dim=-1)].double()
    if len(poses) < 2:
        raise InputError(
            f"{method}: {len(poses)} labelled instants of the training data have a whole pose with a "
            f"heading (nobody who lies on one side), and at least 2 are needed. Show more labels (labels.share, "
            f"labels.count), or reconstruct more of the recording."
        )
    return poses


def embedding_facts(embedding: Float[Tensor, "*batch views features"]) -> dict[str, Fact]:
    """Whether the embedding has collapsed, that is, all poses have the same one; for the record of a run.

    Args:
        embedding: Unit vectors; NaN is left out.

    Returns:
        `embedding`, in words, and `embedding_spread`, its `rms_deviation`.
    """
    deviation = float(rms_deviation(embedding.flatten(0, -2)))
    state = "collapsed: all poses look alike to it" if deviation < _COLLAPSED else "spread out"
    return {"embedding": state, "embedding_spread": round(deviation, 3)}
