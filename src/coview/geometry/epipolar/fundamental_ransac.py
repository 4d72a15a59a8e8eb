"""The fundamental matrix that most pairs of points agree on: random samples, then least squares on who agrees.

For views of which not even the focal length is known; where it is,
`coview.geometry.epipolar.relative_pose.robust_relative_pose` asks for less and says more.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.epipolar.essential_ransac import Pairs, msac_cost, samples
from coview.geometry.epipolar.relative_pose import eight_point, sampson_distance

_SAMPLE = 8  # pairs that determine a matrix; no fewer do without solving a cubic
_REFINED = 8  # of the best hypotheses
_ROUNDS = 4


def robust_fundamental(
    a: Float[Tensor, "n 2"],
    b: Float[Tensor, "n 2"],
    weights: Float[Tensor, "n"],
    *,
    threshold: float,
    hypotheses: int = 150,
    seed: int = 0,
) -> Float[Tensor, "3 3"] | None:
    """F of unit norm with b̃ᵀ F ã = 0, from undistorted points in any unit, of which some are wrong.

    Eight-point hypotheses from random samples, scored by truncated squared Sampson distances (MSAC) [Torr00]; the best
    are fitted again to the pairs within `threshold` (the unit of the points). None where fewer than 16 pairs have a
    weight above 0. The same seed gives the same answer. Meaningless for points in a plane or views from one centre."""
    used = (weights > 0) & a.isfinite().all(dim=-1) & b.isfinite().all(dim=-1)
    if int(used.sum()) < 2 * _SAMPLE:
        return None
    a, b, weights = a[used].double(), b[used].double(), weights[used].double()
    in_a, in_b = (torch.nn.functional.pad(each, (0, 1), value=1.0) for each in (a, b))
    pairs = Pairs(in_a, in_b, weights)
    chosen = samples(len(weights), _SAMPLE, hypotheses, seed)
    found = eight_point(a[chosen], b[chosen], weights[chosen])
    found = _best(found[found.isfinite().flatten(1).all(dim=-1)], pairs, threshold, _REFINED)
    for _ in range(_ROUNDS if len(found) else 0):
        agree = (
            sampson_distance(found, a.expand(len(found), -1, -1), b.expand(len(found), -1, -1)) <= threshold
        )
        refitted = eight_point(a.expand(len(found), -1, -1), b.expand(len(found), -1, -1), weights * agree)
        found = torch.where(refitted.isfinite().flatten(1).all(dim=-1)[:, None, None], refitted, found)
    return _best(found, pairs, threshold, 1)[0] if len(found) else None


def _best(found: Tensor, pairs: Pairs, threshold: float, count: int) -> Tensor:
    cost = msac_cost(found, pairs, threshold) if len(found) else torch.zeros(0)
    return found[cost.topk(min(count, len(cost)), largest=False).indices]
