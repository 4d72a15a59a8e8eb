"""What methods that predict canonical poses from 2D joints share. Like `base` and `triplets`, this is no method."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.methods.shared.base import Fact
from coview.methods.shared.triplets import spread_of
from coview.representations.normalised import image_rays, ray_from_camera, turned
from coview.sample import MultiView

# instead of no weight at all
_TINY = 1e-6
# joints that a view must show; ours
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
    """Rays of a camera that looks at the middle of the person, weights, which views show enough, and the rotation
    to its axes from those of the camera that took the picture; all finite."""
    seen = batch.joints2d.isfinite().all(dim=-1) & (batch.confidence > 0)
    weights = torch.where(seen, batch.confidence, 0.0)
    rays = image_rays(torch.where(seen[..., None], batch.joints2d, 0.0), batch.image_size, focal)
    middle = (weights[..., None] * rays).sum(dim=-2) / weights.sum(dim=-1).clamp_min(_TINY)[..., None]
    rays = torch.where(seen[..., None], rays, middle[..., None, :])
    turn = ray_from_camera(middle)
    return turned(rays, turn), weights, seen.sum(dim=-1) >= _FEWEST, turn


def complete_poses(targets: Sequence[Tensor], method: str) -> Float[Tensor, "poses numbers"]:
    """Those of the labelled instants that are known, float64 on the CPU; ValueError where there are not two."""
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
    """Whether all poses have got the same embedding, for the record of a run."""
    spread = float(spread_of(embedding.flatten(0, -2)))
    said = "collapsed: all poses look alike to it" if spread < _COLLAPSED else "spread out"
    return {"embedding": said, "embedding_spread": round(spread, 3)}
