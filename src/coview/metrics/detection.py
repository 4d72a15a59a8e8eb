"""Accuracy of 2D joints: distance from the truth in pixels, and the rate of joints within half a head of it.

Joints whose truth is NaN are not counted. Joints that were not detected (NaN) count as missed.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric

from coview.metrics.mean import Mean
from coview.skeletons import Skeleton

# [Qiu19], left and right of each
GROUPS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
OVERALL = "all"
# the lower end of the head; the first that the skeleton has
_NECKS = ("neck", "thorax")
# of the width of the box around the person: a head seen from above has no length
_LEAST_HALF_HEAD = 0.025


def half_head(truth: Float[Tensor, "*batch joints 2"], skeleton: Skeleton) -> Float[Tensor, "*batch"]:
    """Half the head's length in the image: 0.5 · ‖head_top − neck‖, at least 2.5 % of the box's width.

    [Qiu19] uses the box alone; where an end of the head is unknown, so does this.

    Args:
        truth: true 2D joints, pixels; NaN: unknown. The box holds all known joints.
        skeleton: of the joints. The neck is the joint `neck`, or `thorax` where there is none.

    Returns:
        Pixels; NaN where no joint is known.

    Raises:
        LookupError: the skeleton has no `head_top` or no neck."""
    neck = next((joint for joint in _NECKS if joint in skeleton.joints), _NECKS[0])
    ends = truth[..., skeleton.index("head_top"), :] - truth[..., skeleton.index(neck), :]
    least = _LEAST_HALF_HEAD * _box_width(truth)
    return torch.fmax(0.5 * ends.norm(dim=-1), least)


def joint_detected(
    found: Float[Tensor, "*batch joints 2"],
    truth: Float[Tensor, "*batch joints 2"],
    half_heads: Float[Tensor, "*batch"],
) -> Bool[Tensor, "*batch joints"]:
    """Whether the pixel distance is below the threshold; False where either place is NaN.

    Args:
        found: detected joints, pixels.
        truth: true joints, pixels.
        half_heads: threshold of each pose, pixels (`half_head`)."""
    return (found - truth).norm(dim=-1) < half_heads[..., None]


class JDR(Metric):
    """Joint detection rate: percentage of detected joints, per joint group and overall. [Qiu19]

    The rates of left and right are averaged; `all` is the mean of the groups.

    Args:
        skeleton: of the joints.

    Raises:
        LookupError: the skeleton lacks a joint of the groups or of the head."""

    full_state_update = False
    higher_is_better = True
    found: Tensor
    valid: Tensor

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.sides = [[skeleton.index(f"{side}_{group}") for side in ("left", "right")] for group in GROUPS]
        zeros = torch.zeros(len(skeleton), dtype=torch.float64)
        self.add_state("found", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("valid", zeros.clone(), dist_reduce_fx="sum")

    def update(
        self, found: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"]
    ) -> None:
        """Adds poses of one batch; every view is a sample of its own.

        Args:
            found: detected joints, pixels; NaN: not detected.
            truth: true joints, pixels; NaN: unknown."""
        detected = joint_detected(found, truth, half_head(truth, self.skeleton))
        valid = truth.isfinite().all(dim=-1)
        self.found += detected.reshape(-1, len(self.skeleton)).sum(dim=0)
        self.valid += valid.reshape(-1, len(self.skeleton)).sum(dim=0)

    def compute(self) -> dict[str, Float[Tensor, ""]]:
        """Percent per group, and `all`; NaN where no truth was known."""
        # NaN for a joint whose truth was never known
        rate = 100 * self.found / self.valid
        groups = {group: rate[pair].nanmean() for group, pair in zip(GROUPS, self.sides, strict=True)}
        return {**groups, OVERALL: torch.stack(list(groups.values())).nanmean()}


def detection_rates(
    found: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"], skeleton: Skeleton
) -> dict[str, float]:
    """`JDR` of one set of poses: percent per group, and `all`.

    Args:
        found: detected joints, pixels; NaN: not detected.
        truth: true joints, pixels; NaN: unknown.
        skeleton: of the joints."""
    metric = JDR(skeleton)
    metric.update(found, truth)
    return {group: float(rate) for group, rate in metric.compute().items()}


def head_size_rule(skeleton: Skeleton) -> str:
    """The detection threshold for this skeleton in words, for captions of tables.

    Args:
        skeleton: of the joints."""
    neck = next((joint for joint in _NECKS if joint in skeleton.joints), _NECKS[0])
    return (
        f"a joint is detected within half a head: 0.5 · |head_top − {neck}| of the true 2D pose in that view, "
        f"at least {100 * _LEAST_HALF_HEAD:g} % of the width of the box around the {len(skeleton)} true joints; "
        f"left and right averaged, `{OVERALL}` is the mean of {', '.join(GROUPS)}"
    )


def _box_width(truth: Tensor) -> Tensor:
    x = truth[..., 0]
    valid = truth.isfinite().all(dim=-1)
    right = torch.where(valid, x, -torch.inf).amax(dim=-1)
    left = torch.where(valid, x, torch.inf).amin(dim=-1)
    return torch.where(valid.any(dim=-1), right - left, torch.nan)


class ImageError(Mean):
    """Mean distance in pixels over the joints known in both poses; NaN where there are none."""

    higher_is_better = False

    def update(
        self, predicted: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"]
    ) -> None:
        """Adds poses of one batch.

        Args:
            predicted: pixels; NaN: not predicted.
            truth: pixels; NaN: unknown."""
        distance = (predicted - truth).norm(dim=-1)
        self.add(distance, distance.isfinite())
