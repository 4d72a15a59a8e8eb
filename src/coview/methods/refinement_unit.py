"""The refinement unit: the poses of an earlier model, corrected by a network that reads nothing else. [Kocabas19]

A second stage: `first_guess` is what the earlier run predicted for the training data, and the network learns its
systematic errors. The paper trains it by 3D labels; `taught_by="pseudo"` uses poses computed from 2D joints alone
(ours), so that no label is needed in either stage.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.methods.shared.base import CameraPoses, Method, MethodConfig
from coview.networks.refiner import Refiner
from coview.sample import MultiView
from coview.skeletons import Skeleton

# metres: a coordinate with a smaller standard deviation is not divided by it
_CONSTANT = 1e-6


@dataclass(frozen=True)
class RefinementUnitConfig(MethodConfig):
    """Width and dropout are those of the paper's code; learning rate 1e-3, 64 poses a batch, clip_norm 1."""

    # features of the network's layers
    width: int = 1024
    # share of the features that are set to 0 in each training step
    dropout: float = 0.5
    # whether rectifiers are leaky, as the paper's text says; the released weights were trained without
    leaky: bool = False
    # labels of the training: truth, 3D labels as published; pseudo, poses computed from 2D joints alone, ours
    taught_by: Literal["truth", "pseudo"] = "truth"

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.width < 1 or not 0 <= self.dropout < 1:
            raise InputError(
                f"{name}: width must be at least 1 and dropout in [0, 1), got {self.width} and {self.dropout}."
            )

    def build(self, skeleton: Skeleton) -> "RefinementUnit":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return RefinementUnit(self, skeleton)


@dataclass(frozen=True, kw_only=True)
class RefinedPoses(CameraPoses):
    """Corrected poses, and the coordinates that the losses compare: all joints but the root, z-scored."""

    # after the first of the network's two stages
    first: Float[Tensor, "*batch views numbers"]
    # after the second stage
    second: Float[Tensor, "*batch views numbers"]
    # whether the pose to correct was complete
    guessed: Bool[Tensor, "*batch views"]


class RefinementUnit(Method[RefinedPoses]):
    """Coordinates are z-scored with the statistics of the training data, which are kept with the weights."""

    inputs = frozenset({"first_guess"})

    def __init__(self, config: RefinementUnitConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.taught_by, self.root = config.taught_by, skeleton.root_index
        by_labels = config.taught_by == "truth"
        self.supervision = frozenset({"joints3d", "cameras"} if by_labels else {"pseudo3d", "pseudo_cameras"})
        self.others = [joint for joint in range(len(skeleton)) if joint != self.root]
        numbers = 3 * len(self.others)
        self.refiner = Refiner(numbers, config.width, dropout=config.dropout, leaky=config.leaky)
        self.input_mean: Tensor
        self.input_std: Tensor
        self.target_mean: Tensor
        self.target_std: Tensor
        for side in ("input", "target"):
            self.register_buffer(f"{side}_mean", torch.zeros(numbers))
            self.register_buffer(f"{side}_std", torch.ones(numbers))

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[MultiView]) -> None:
        """Mean and standard deviation of every coordinate, over views whose first guess and label are complete.

        Args:
            batches: All training instants with `first_guess` and the labels.

        Raises:
            InputError: Fewer than two views are complete.
        """
        sums, count = torch.zeros(2, 2, len(self.input_mean), dtype=torch.float64), 0
        for batch in batches:
            pair = [self._numbers(poses) for poses in (batch.first_guess, self.teacher(batch))]
            whole = pair[0].isfinite().all(dim=-1) & pair[1].isfinite().all(dim=-1)
            sides = torch.stack([numbers[whole].double().cpu() for numbers in pair])
            sums += torch.stack([sides.sum(dim=1), sides.square().sum(dim=1)], dim=1)
            count += sides.shape[1]
        if count < 2:
            raise InputError(
                f"RefinementUnit: {count} views of the training data have both a whole first guess and a whole pose "
                f"to learn from, so there is no standard deviation to divide by. Does the run "
                f"that guesses know these people?"
            )
        mean = sums[:, 0] / count
        std = (sums[:, 1] / count - mean.square()).clamp_min(0).sqrt()
        std = torch.where(std > _CONSTANT, std, 1.0)
        self.input_mean.copy_(mean[0])
        self.input_std.copy_(std[0])
        self.target_mean.copy_(mean[1])
        self.target_std.copy_(std[1])

    def forward(self, batch: MultiView) -> RefinedPoses:
        """Corrected poses, one per view.

        Args:
            batch: `first_guess`.

        Returns:
            Poses in the size of the labels; NaN in views whose first guess is not complete.
        """
        numbers = self._numbers(batch.first_guess)
        guessed = numbers.isfinite().all(dim=-1)
        scored = (numbers - self.input_mean) / self.input_std
        # 0 is the mean pose: no information
        shown = torch.where(guessed[..., None], scored, 0.0)
        first, second = (part.view_as(shown) for part in self.refiner(shown.flatten(0, -2)))
        pose = (second * self.target_std + self.target_mean).unflatten(-1, (-1, 3))
        order = [
            0 if joint == self.root else 1 + self.others.index(joint) for joint in range(len(self.others) + 1)
        ]
        whole = torch.cat([torch.zeros_like(pose[..., :1, :]), pose], dim=-2)[..., order, :]
        return RefinedPoses(
            joints3d=torch.where(guessed[..., None, None], whole, torch.nan),
            first=first,
            second=second,
            guessed=guessed,
        )

    def losses(self, predicted: RefinedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean squared difference of z-scores after either stage.

        Args:
            predicted: Corrected poses of all views.
            batch: The labels.

        Returns:
            `first` and `second`, no unit; joints and views that are not known do not count.
        """
        target = (self._numbers(self.teacher(batch)) - self.target_mean) / self.target_std
        valid = target.isfinite() & predicted.guessed[..., None]
        target, count = torch.where(valid, target, 0.0), valid.sum().clamp_min(1)
        gaps = {"first": predicted.first - target, "second": predicted.second - target}
        return {name: torch.where(valid, gap, 0.0).square().sum() / count for name, gap in gaps.items()}

    def teacher(self, batch: MultiView) -> Float[Tensor, "*batch views joints 3"]:
        """The labels: root-centred poses in each camera's axes, metres as far as the scale is known.

        Args:
            batch: `joints3d` and `cameras`, or `pseudo3d` and `pseudo_cameras` (`taught_by`).
        """
        by_labels = self.taught_by == "truth"
        pose = batch.joints3d if by_labels else batch.pseudo3d
        cameras = batch.cameras if by_labels else batch.pseudo_cameras
        centred = pose - pose[..., self.root, None, :]
        return centred[..., None, :, :] @ cameras.rotation.mT

    def _numbers(self, poses: Tensor) -> Float[Tensor, "*batch views numbers"]:
        """Coordinates joint by joint, without the root."""
        return (poses - poses[..., self.root, None, :])[..., self.others, :].flatten(-2)
