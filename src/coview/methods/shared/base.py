"""What a method must say: what it reads, what it predicts, what it minimises."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.sample import MultiView
from coview.skeletons import Skeleton

# what a method may report about itself; kept in the run as JSON
Fact = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class WorldPose:
    """One pose per instant, metres, world frame: what calibrated methods find."""

    # NaN where a joint cannot be known
    joints3d: Float[Tensor, "*batch joints 3"]


@dataclass(frozen=True, kw_only=True)
class CameraPoses:
    """One pose per view, root-centred, in that camera's axes, unknown size: what monocular methods find."""

    # NaN in a view where the root joint was not seen
    joints3d: Float[Tensor, "*batch views joints 3"]


@dataclass(frozen=True, kw_only=True)
class MetricCameraPoses(CameraPoses):
    """The same in metres, of a size that the method claims; never one that was taken from the truth."""


@dataclass(frozen=True, kw_only=True)
class ImagePoses:
    """One 2D pose per view: what methods find that mend detections."""

    # pixels; NaN for a joint that is not known
    joints2d: Float[Tensor, "*batch views joints 2"]


@dataclass(frozen=True, kw_only=True)
class CanonicalPoses:
    """One pose per view, turned about the vertical until the left hip is on +x: no camera could be told from it.

    Root-centred, metres, z up (`representations.canonical_pose`). Their errors are smaller than those of poses in
    camera axes, whose azimuth is to be found too: never compare the two."""

    # NaN in a view that shows too little
    joints3d: Float[Tensor, "*batch views joints 3"]
    # what the pose was read from; NaN there too
    embedding: Float[Tensor, "*batch views features"]


P = TypeVar("P", bound=WorldPose | CameraPoses | ImagePoses | CanonicalPoses)


class Method(nn.Module, ABC, Generic[P]):
    """One paper. `inputs` and `supervision` are enforced: nothing else can be read."""

    # fields `forward` may read
    inputs: frozenset[str]
    # further fields `losses` and `resolve_ambiguity` may read
    supervision: frozenset[str] = frozenset()
    # whether intrinsics are all that is read of `cameras`
    intrinsics_only: bool = False
    rates: dict[str, float] = {}  # noqa: RUF012  module, however deep: factor of the learning rate
    # share of the training done; the Learner sets it before every step
    progress: float = 0.0
    # numbers about the batch that `losses` just saw, to be watched and not minimised; the history keeps their means
    diagnostics: dict[str, Tensor] = {}  # noqa: RUF012

    @abstractmethod
    def forward(self, batch: MultiView) -> P:
        """The prediction, from `inputs` alone."""

    @abstractmethod
    def losses(self, predicted: P, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Named terms whose sum is minimised, each already weighted."""

    def fit_statistics(self, batches: Iterable[MultiView]) -> None:
        """Look at all training data once, before the first step, e.g. for its mean and spread.

        Batches hold what the method needs. Whatever is found is to be kept in buffers: a run that is resumed
        does not look again."""

    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Settle, between steps, what gradients cannot; may change the weights in place.

        Training calls it at the shares of a run that the recipe names, with a few hundred training
        instants that hide what `losses` may not see. Returns facts for the run's record."""
        return {}

    @property
    def needs(self) -> frozenset[str]:
        """Every field that training reads."""
        return self.inputs | self.supervision


def flip_if_mirrored(depths: nn.Module, trained: float, mirrored: float) -> dict[str, Fact]:
    """The weights that an odd function turns into depths get the other sign where the mirrored world costs less.

    What a `resolve_ambiguity` says of it."""
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
        """The untrained method for poses of `skeleton`."""
