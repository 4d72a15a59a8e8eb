"""The interface of every method: the fields that it reads, its prediction, its losses; and the types of predictions."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.sample import MultiView
from coview.skeletons import Skeleton

# value of what a method reports about itself; kept in the run's record as JSON
Fact = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class WorldPose:
    """One pose per instant, metres, world frame: the prediction of calibrated methods."""

    # metres, world frame; NaN for a joint that cannot be determined
    joints3d: Float[Tensor, "*batch joints 3"]


@dataclass(frozen=True, kw_only=True)
class CameraPoses:
    """One pose per view, root-centred, in that camera's axes, unknown size: the prediction of monocular methods."""

    # root-centred, camera axes, any size; NaN in a view where the root joint was not detected
    joints3d: Float[Tensor, "*batch views joints 3"]


@dataclass(frozen=True, kw_only=True)
class MetricCameraPoses(CameraPoses):
    """The same in metres, at a size that the method estimates; never one that was taken from the truth."""


@dataclass(frozen=True, kw_only=True)
class ImagePoses:
    """One 2D pose per view: the prediction of methods that correct detections."""

    # pixels; NaN for a joint that was not detected
    joints2d: Float[Tensor, "*batch views joints 2"]


@dataclass(frozen=True, kw_only=True)
class CanonicalPoses:
    """One pose per view, rotated about the vertical until the left hip is on +x: independent of the camera.

    Root-centred, metres, z up (`representations.canonical_pose`). Their errors are smaller than those of poses in
    camera axes, whose azimuth is estimated too: never compare the two."""

    # metres; NaN in a view with too few joints
    joints3d: Float[Tensor, "*batch views joints 3"]
    # unit vector that the pose was regressed from; NaN there too
    embedding: Float[Tensor, "*batch views features"]


P = TypeVar("P", bound=WorldPose | CameraPoses | ImagePoses | CanonicalPoses)


class Method(nn.Module, ABC, Generic[P]):
    """One paper's method. `inputs` and `supervision` are enforced: nothing else can be read from a batch."""

    # fields that `forward` may read
    inputs: frozenset[str]
    # further fields that `losses` and `resolve_ambiguity` may read
    supervision: frozenset[str] = frozenset()
    # whether of `cameras` only the intrinsics are read
    intrinsics_only: bool = False
    # factors of the learning rate: dotted name of a module -> factor
    rates: dict[str, float] = {}  # noqa: RUF012
    # share of the training done; the Learner sets it before every step
    progress: float = 0.0
    # numbers about the batch that `losses` read last, logged and not minimised; the history keeps their means
    diagnostics: dict[str, Tensor] = {}  # noqa: RUF012

    @abstractmethod
    def forward(self, batch: MultiView) -> P:
        """The prediction, from `inputs` alone.

        Args:
            batch: Holds the fields of `inputs`; others cannot be read.
        """

    @abstractmethod
    def losses(self, predicted: P, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Named loss terms, each already weighted; their sum is minimised.

        Args:
            predicted: What `forward` returned for this batch.
            batch: Holds the fields of `inputs` and `supervision`; others cannot be read.
        """

    def fit_statistics(self, batches: Iterable[MultiView]) -> None:
        """Compute statistics of all training data once, before the first step, such as means and deviations.

        They are kept in buffers: a run that is resumed does not compute them again.

        Args:
            batches: All training instants, with the fields of `needs`.
        """

    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Choose, between steps, among solutions that gradients cannot tell apart; may change the weights in place.

        Training calls it at the shares of a run that the recipe's `resolve_ambiguity_at` gives.

        Args:
            batch: A few hundred training instants with the fields of `needs`.

        Returns:
            Facts for the run's record.
        """
        return {}

    @property
    def needs(self) -> frozenset[str]:
        """Every field that training reads: `inputs` and `supervision`."""
        return self.inputs | self.supervision


def flip_if_mirrored(depths: nn.Module, trained: float, mirrored: float) -> dict[str, Fact]:
    """Negate the last layer of a network for depths where the poses mirrored in depth have the smaller loss.

    Args:
        depths: Linear layer whose output an odd function turns into depths; changed in place.
        trained: Loss of the poses as they are.
        mirrored: Loss of the poses with all depths negated.

    Returns:
        Facts for `Method.resolve_ambiguity`: whether the weights were negated, and both losses.
    """
    flipped = mirrored < trained
    if flipped:
        with torch.no_grad():
            for weight in depths.parameters():
                weight.neg_()
    return {
        "mirror_flipped": flipped,
        "mirror_losses": f"{trained:.4f} as trained, {mirrored:.4f} mirrored",
    }


@dataclass(frozen=True)
class MethodConfig(ABC):
    """A method's settings as a value: what a recipe holds."""

    @abstractmethod
    def build(self, skeleton: Skeleton) -> Method[Any]:
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
