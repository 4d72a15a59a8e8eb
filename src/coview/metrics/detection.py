"""How good 2D joints are: their distance from the truth in pixels, and which were found, nearer than half a head.

A joint whose truth is NaN is not counted. A joint that was not detected (NaN) counts as not found.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric

from coview.metrics.mean import Mean
from coview.skeletons import Skeleton

GROUPS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")  # [Qiu19], left and right of each
OVERALL = "all"
_NECKS = ("neck", "thorax")  # the lower end of the head; the first that the skeleton has
_LEAST_HALF_HEAD = 0.025  # of the width of the box around the person: a head seen from above has no length


def half_head(truth: Float[Tensor, "*batch joints 2"], skeleton: Skeleton) -> Float[Tensor, "*batch"]:
    """Half the head's length in the picture: 0.5 · ‖head_top − neck‖, at least 2.5 % of the box's width.

    Pixels. The neck is the joint `neck`, or `thorax` where there is none; the box holds all joints
    whose truth is known. Where the head's ends are unknown the box alone decides; NaN where nothing is
    known. LookupError for a skeleton without `head_top` or without a neck. [Qiu19] uses the box alone."""
    neck = next((joint for joint in _NECKS if joint in skeleton.joints), _NECKS[0])
    ends = truth[..., skeleton.index("head_top"), :] - truth[..., skeleton.index(neck), :]
    least = _LEAST_HALF_HEAD * _box_width(truth)
    return torch.fmax(0.5 * ends.norm(dim=-1), least)


def joint_detected(
    found: Float[Tensor, "*batch joints 2"],
    truth: Float[Tensor, "*batch joints 2"],
    half_heads: Float[Tensor, "*batch"],
) -> Bool[Tensor, "*batch joints"]:
    """Whether the pixel distance is below `half_heads`; False where either place is NaN."""
    return (found - truth).norm(dim=-1) < half_heads[..., None]


class JDR(Metric):
    """Joint detection rate: percentage of joints found, per joint group and overall [Qiu19].

    Left and right are rates of their own, averaged; `all` is the mean of the groups. `compute` gives a
    dictionary from group to percent, NaN where no truth was known. LookupError for a skeleton that
    lacks a joint of the groups or of the head."""

    full_state_update = False
    higher_is_better = True
    found: Tensor
    known: Tensor

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.sides = [[skeleton.index(f"{side}_{group}") for side in ("left", "right")] for group in GROUPS]
        zeros = torch.zeros(len(skeleton), dtype=torch.float64)
        self.add_state("found", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("known", zeros.clone(), dist_reduce_fx="sum")

    def update(
        self, found: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"]
    ) -> None:
        """Pixels of one detector and of the truth; every view is a test of its own."""
        detected = joint_detected(found, truth, half_head(truth, self.skeleton))
        known = truth.isfinite().all(dim=-1)
        self.found += detected.reshape(-1, len(self.skeleton)).sum(dim=0)
        self.known += known.reshape(-1, len(self.skeleton)).sum(dim=0)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Percent per group, and `all`."""
        rate = 100 * self.found / self.known  # NaN for a joint whose truth was never known
        groups = {group: rate[pair].nanmean() for group, pair in zip(GROUPS, self.sides, strict=True)}
        return {**groups, OVERALL: torch.stack(list(groups.values())).nanmean()}


def detection_rates(
    found: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"], skeleton: Skeleton
) -> dict[str, float]:
    """`JDR` of one set of poses: percent per group, and `all`."""
    metric = JDR(skeleton)
    metric.update(found, truth)
    return {group: float(rate) for group, rate in metric.compute().items()}


def head_size_rule(skeleton: Skeleton) -> str:
    """In words, what `half_head` does with this skeleton; for beside the numbers."""
    neck = next((joint for joint in _NECKS if joint in skeleton.joints), _NECKS[0])
    return (
        f"a joint is detected within half a head: 0.5 · |head_top − {neck}| of the true 2D pose in that view, "
        f"at least {100 * _LEAST_HALF_HEAD:g} % of the width of the box around the {len(skeleton)} true joints; "
        f"left and right averaged, `{OVERALL}` is the mean of {', '.join(GROUPS)}"
    )


def _box_width(truth: Tensor) -> Tensor:
    x = truth[..., 0]
    known = truth.isfinite().all(dim=-1)
    right = torch.where(known, x, -torch.inf).amax(dim=-1)
    left = torch.where(known, x, torch.inf).amin(dim=-1)
    return torch.where(known.any(dim=-1), right - left, torch.nan)


class ImageError(Mean):
    """Mean distance in pixels over the joints known in both; sums in float64. NaN where there are none."""

    higher_is_better = False

    def update(
        self, predicted: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"]
    ) -> None:
        """Add poses of one batch: pixels; NaN for a joint that is not known."""
        distance = (predicted - truth).norm(dim=-1)
        self.add(distance, distance.isfinite())
