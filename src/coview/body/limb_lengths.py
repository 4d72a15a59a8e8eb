"""Mean limb lengths of people, which give a pose of one camera its scale in metres."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.skeletons import Skeleton

# the first that a skeleton has
_TRUNK_TOPS = ("thorax", "neck")
# "*" stands for either side, "top" for the upper end of the trunk
_ENDS = {
    # first: the unit of depth
    "torso": ("pelvis", "top"),
    "hip": ("pelvis", "*_hip"),
    "thigh": ("*_hip", "*_knee"),
    "shank": ("*_knee", "*_ankle"),
    "neck": ("top", "nose"),
    "head": ("nose", "head_top"),
    "shoulder": ("top", "*_shoulder"),
    "upper_arm": ("*_shoulder", "*_elbow"),
    "forearm": ("*_elbow", "*_wrist"),
}


class Limbs(NamedTuple):
    """The limbs of one skeleton: joint indices of both ends, and mean lengths in metres."""

    # joint indices of the proximal ends
    starts: tuple[int, ...]
    # joint indices of the distal ends
    ends: tuple[int, ...]
    # metres; the first is the torso's
    lengths: tuple[float, ...]

    def vectors(self, points: Float[Tensor, "*batch joints dims"]) -> Float[Tensor, "*batch limbs dims"]:
        """Vectors from the start to the end of every limb.

        Args:
            points: joints, any unit."""
        return points[..., list(self.ends), :] - points[..., list(self.starts), :]

    def both(self, weights: Float[Tensor, "*batch joints"]) -> Float[Tensor, "*batch limbs"]:
        """Product of the weights of both ends of every limb.

        Args:
            weights: of the joints."""
        return weights[..., list(self.starts)] * weights[..., list(self.ends)]

    def in_torsos(self, like: Tensor) -> Float[Tensor, "limbs"]:
        """Mean lengths in units of the torso's length.

        Args:
            like: gives device and dtype."""
        return like.new_tensor(self.lengths) / self.lengths[0]


@dataclass(frozen=True)
class LimbLengths:
    """Mean limb lengths in metres; 0 leaves a limb out. They are a property of a data set's joint definition.

    Defaults: the training subjects of Human3.6M, as the code of [Wandt22] has them; neck, head and shoulder from its
    relative table."""

    # pelvis to hip, metres
    hip: float = 0.1341
    # hip to knee, metres
    thigh: float = 0.4494
    # knee to ankle, metres
    shank: float = 0.4454
    # pelvis to thorax (or neck), metres; the unit of the others in torso units
    torso: float = 0.4852
    # thorax to nose, metres
    neck: float = 0.116
    # nose to head top, metres
    head: float = 0.115
    # thorax to shoulder, metres
    shoulder: float = 0.149
    # shoulder to elbow, metres
    upper_arm: float = 0.2798
    # elbow to wrist, metres
    forearm: float = 0.2495

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < 1:
                raise InputError(
                    f"LimbLengths: {field.name} is a length in metres, 0 to below 1 (not millimetres), got {value}."
                )
        if not self.torso > 0:
            raise InputError("LimbLengths: torso is 0, and it is the unit of all others. Give its length.")

    def of(self, skeleton: Skeleton) -> Limbs:
        """The limbs of which the skeleton has both joints.

        Args:
            skeleton: needs `pelvis` and `thorax` or `neck`.

        Raises:
            ValueError: the skeleton has no torso."""
        joints = set(skeleton.joints)
        top = next((joint for joint in _TRUNK_TOPS if joint in joints), "")
        if not {"pelvis", top} <= joints:
            raise InputError(
                f"LimbLengths: skeleton '{skeleton.name}' has no torso (pelvis to thorax or neck), and its length is "
                f"the unit of depth. Use a skeleton with these joints, such as h36m_17."
            )
        found: list[tuple[int, int, float]] = []
        for limb, ends in _ENDS.items():
            length = float(getattr(self, limb))
            for side in ("left", "right") if "*" in ends[1] else ("",):
                start, end = (top if name == "top" else name.replace("*", side) for name in ends)
                if {start, end} <= joints and length > 0:
                    found.append((skeleton.index(start), skeleton.index(end), length))
        return Limbs(*(tuple(column) for column in zip(*found, strict=True)))


def scale_of(
    lengths: Float[Tensor, "*batch limbs"],
    means: Float[Tensor, "limbs"],
    weights: Float[Tensor, "*batch limbs"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Least-squares scale from measured to mean limb lengths: Σ w ℓ μ / Σ w ℓ². [Iqbal18] §3

    The person's own size is not observable: a tall person is scaled to the mean.

    Args:
        lengths: measured lengths, any unit.
        means: mean lengths, metres.
        weights: of the limbs; None: all 1.

    Returns:
        Metres per unit of `lengths`; NaN where no limb has a positive weight and length."""
    weights = torch.ones_like(lengths) if weights is None else weights
    own = (weights * lengths.square()).sum(dim=-1)
    safe = torch.where(own > 0, own, 1.0)
    return torch.where(own > 0, (weights * lengths * means).sum(dim=-1) / safe, torch.nan)
