"""MCSS: an embedding of poses learned from synchronised views, and a pose regressor learned from few labels. [Mitra20]

An encoder maps each view to a unit vector. A triplet loss makes the embeddings of synchronised views of an instant
similar and those of hard negatives, other instants of the same person, dissimilar; it needs neither cameras nor
labels. A small head regresses the canonical pose from the embedding, trained by the few labelled instants. Batches
hold many times of one person: `SubjectTimes`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from coview.errors import InputError
from coview.methods.shared.base import CanonicalPoses, Fact, Method, MethodConfig
from coview.methods.shared.canonical_targets import complete_poses, embedding_facts, person_centred_rays
from coview.methods.shared.image_method import IMAGENET_MEAN, IMAGENET_STD
from coview.methods.shared.triplets import (
    Triplets,
    distances,
    hard_triplets,
    random_triplets,
    rms_deviation,
    softmax_loss,
)
from coview.networks.backbone import Depth
from coview.networks.encoders import CropEncoder, PoseEncoder, PoseHead
from coview.representations.canonical_pose import canonical_pose
from coview.representations.normalised import weighted_unit_norm
from coview.sample import MultiView
from coview.skeletons import Skeleton

# seconds: rounding of times, which are float32
_SAME = 1e-3
# metres: a coordinate with a smaller standard deviation is not divided by it
_CONSTANT = 1e-3


@dataclass(frozen=True)
class McssConfig(MethodConfig):
    """MCSS on 2D joints. Structure [Mitra20]; numbers are ours, those of its method section could not be obtained."""

    # features of the layers of the encoder of 2D poses
    width: int = 256
    # dimensions of the embedding
    features: int = 128
    # features of the layers of the pose head
    head: int = 1024
    # share of the head's features that are set to 0 in each training step
    dropout: float = 0.25
    # weight of the metric loss; 0: the baseline, the same network trained by the labels alone
    metric_weight: float = 1.0
    # by how much the negative must be farther than the positive for a loss of 0; distances are 0 to 2
    margin: float = 0.3
    # seconds between two instants of one take below which they are not each other's negatives
    gap: float = 0.5
    # which negatives are used. hardest: the paper's; random: the baseline for it; all: a softmax over all, ours
    negatives: Literal["hardest", "random", "all"] = "hardest"
    # temperature of that softmax over cosines
    temperature: float = 0.1
    # share of the run in which only negatives farther than the positive are used, so that the embedding does not
    # collapse; where there is none, the hardest is
    semi_hard: float = 0.1
    # assumed focal length in image diagonals, for rotating each view to look at the person
    focal: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if min(self.width, self.features, self.head) < 1:
            raise InputError(
                f"{name}: width, features and head must be at least 1, got {self.width}, {self.features} and "
                f"{self.head}."
            )
        if not (0 <= self.dropout < 1 and 0 <= self.semi_hard <= 1):
            raise InputError(
                f"{name}: dropout and semi_hard are shares, 0 to 1 (not per cent), got {self.dropout} and "
                f"{self.semi_hard}."
            )
        if min(self.metric_weight, self.gap) < 0 or not 0 < self.margin < 2:
            raise InputError(
                f"{name}: metric_weight and gap (seconds) are 0 or more, margin above 0 and below 2, the largest "
                f"distance of unit vectors; got {self.metric_weight}, {self.gap} and {self.margin}."
            )
        if not min(self.temperature, self.focal) > 0:
            raise InputError(
                f"{name}: temperature and focal are above 0, got {self.temperature} and {self.focal}."
            )

    def build(self, skeleton: Skeleton) -> "Mcss":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return Mcss(self, skeleton)


@dataclass(frozen=True)
class McssImageConfig(McssConfig):
    """MCSS on crops."""

    # number of layers of the ResNet: 18, 34, 50, 101 or 152
    depth: Depth = 18
    # longer side of the crops in pixels
    size: int = 224
    # channels of the ResNet's first stage
    trunk: int = 64

    def build(self, skeleton: Skeleton) -> "McssImages":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return McssImages(self, skeleton)


class Mcss(Method[CanonicalPoses]):
    """MCSS from 2D joints. Labels are canonical poses of world joints: the world must be z up; no camera is read."""

    inputs = frozenset({"joints2d", "confidence", "image_size"})
    supervision = frozenset({"joints3d", "labelled", "subject", "sequence", "time"})

    def __init__(self, config: McssConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.others = [joint for joint in range(len(skeleton)) if joint != skeleton.root_index]
        self.encoder = self._encoder()
        self.head = PoseHead(config.features, config.head, 3 * len(self.others), config.dropout)
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(3 * len(self.others)))
        self.register_buffer("spread", torch.ones(3 * len(self.others)))
        self.diagnostics = {}

    @property
    def std(self) -> Float[Tensor, "numbers"]:
        """Standard deviations of the labels' coordinates, metres; stored weights call them `spread`."""
        return self.get_buffer("spread")

    def _encoder(self) -> nn.Module:
        return PoseEncoder(len(self.skeleton), self.config.width, self.config.features)

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[MultiView]) -> None:
        """Mean and standard deviation of every coordinate of the labelled poses.

        Args:
            batches: All training instants with their labels.

        Raises:
            InputError: Fewer than two labelled poses are complete.
        """
        poses = complete_poses([self._target(batch) for batch in batches], type(self).__name__)
        std = poses.std(dim=0)
        self.mean.copy_(poses.mean(dim=0))
        self.std.copy_(torch.where(std > _CONSTANT, std, 1.0))

    def forward(self, batch: MultiView) -> CanonicalPoses:
        """One canonical pose per view, each from that view alone.

        Args:
            batch: `joints2d`, `confidence` and `image_size`; or `images`.

        Returns:
            Poses in metres; from 2D joints NaN for a view with fewer than four detected joints.
        """
        embedding, valid = self.embed(batch)
        numbers = self.head(embedding) * self.std + self.mean
        pose = embedding.new_zeros(*embedding.shape[:-1], len(self.skeleton), 3)
        pose[..., self.others, :] = numbers.unflatten(-1, (-1, 3))
        return CanonicalPoses(
            joints3d=torch.where(valid[..., None, None], pose, torch.nan),
            embedding=torch.where(valid[..., None], embedding, torch.nan),
        )

    def embed(
        self, batch: MultiView
    ) -> tuple[Float[Tensor, "*batch views features"], Bool[Tensor, "*batch views"]]:
        """The embedding of every view.

        Args:
            batch: `joints2d` (pixels), `confidence` and `image_size`.

        Returns:
            Unit vectors, finite everywhere; and which views have at least four detected joints.
        """
        rays, weights, valid, _ = person_centred_rays(batch, self.config.focal)
        shown = weighted_unit_norm(rays, weights)
        return self.encoder(shown * (2 * len(self.skeleton)) ** 0.5, weights), valid

    def losses(self, predicted: CanonicalPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """L1 between z-scored poses of labelled instants, and the metric loss over pairs of views. [Mitra20]

        Args:
            predicted: Poses and embeddings of all views.
            batch: `joints3d`, `labelled`, `subject`, `sequence` and `time`.

        Returns:
            `pose` and, unless its weight is 0, `metric`; no unit.
        """
        terms = {"pose": self._pose_loss(predicted, batch)}
        if self.config.metric_weight:
            terms["metric"] = self.config.metric_weight * self._metric_loss(predicted.embedding, batch)
        return terms

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Report whether the embedding has collapsed; changes nothing.

        Args:
            batch: A few hundred instants with the method's inputs.
        """
        return embedding_facts(self.embed(batch)[0])

    def _target(self, batch: MultiView) -> Float[Tensor, "*batch numbers"]:
        """Canonical coordinates of the labelled instants, metres; NaN elsewhere."""
        labelled = batch.labelled[..., None, None]
        world = torch.where(labelled, batch.joints3d, torch.nan)
        return canonical_pose(world, self.skeleton)[..., self.others, :].flatten(-2)

    def _pose_loss(self, predicted: CanonicalPoses, batch: MultiView) -> Float[Tensor, ""]:
        target = ((self._target(batch) - self.mean) / self.std)[..., None, :]
        numbers = predicted.joints3d[..., self.others, :].flatten(-2)
        valid = target.isfinite() & numbers.isfinite()
        # replaced before the difference: a NaN behind `where` still has a NaN gradient
        found = (torch.where(valid, numbers, self.mean) - self.mean) / self.std
        return torch.where(valid, found - target, 0.0).abs().sum() / valid.sum().clamp_min(1)

    def _metric_loss(
        self, embedding: Float[Tensor, "batch views features"], batch: MultiView
    ) -> Float[Tensor, ""]:
        """Mean over random disjoint pairs of views."""
        views = torch.randperm(embedding.shape[-2], device=embedding.device)
        negative = admissible(batch, self.config.gap)
        losses, seen = [], []
        for first, second in views[: len(views) // 2 * 2].view(-1, 2).tolist():
            pair = embedding[:, [first, second]]
            there = pair.isfinite().flatten(1).all(dim=-1)
            pair = torch.where(there[:, None, None], pair, 1.0)
            distance, allowed = distances(pair[:, 0], pair[:, 1]), negative & there & there[:, None]
            triplets = self._triplets(distance, allowed)
            counted = triplets.valid & there
            loss = (self.config.margin + triplets.positive - triplets.negative).clamp_min(0)
            if self.config.negatives == "all":
                loss = softmax_loss(distance, allowed, self.config.temperature)
            losses.append(torch.where(counted, loss, 0.0).sum() / counted.sum().clamp_min(1))
            seen.append(_noted(triplets, counted, loss))
        self.diagnostics = {name: torch.stack([each[name] for each in seen]).mean() for name in seen[0]}
        self.diagnostics["spread"] = rms_deviation(embedding.detach().flatten(0, 1))
        return torch.stack(losses).mean()

    def _triplets(self, distance: Tensor, negative: Tensor) -> Triplets:
        if self.config.negatives == "random":
            return random_triplets(distance, negative)
        return hard_triplets(distance, negative, semi_hard=self.progress < self.config.semi_hard)


class McssImages(Mcss):
    """MCSS from crops, each around the person."""

    inputs = frozenset({"images"})
    config: McssImageConfig

    def _encoder(self) -> nn.Module:
        return CropEncoder(self.config.depth, self.config.trunk, self.config.features)

    def embed(
        self, batch: MultiView
    ) -> tuple[Float[Tensor, "*batch views features"], Bool[Tensor, "*batch views"]]:
        """The embedding of every view.

        Args:
            batch: `images`, RGB in [0, 1].

        Returns:
            Unit vectors; and true for all views, because every crop is taken to show a person.
        """
        images = batch.images
        mean, std = (images.new_tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
        flat = ((images - mean) / std).flatten(0, -4)
        embedding = self.encoder(flat).unflatten(0, images.shape[:-3])
        return embedding, torch.ones_like(embedding[..., 0], dtype=torch.bool)


def admissible(batch: MultiView, gap: float) -> Bool[Tensor, "batch batch"]:
    """Which instants may be each other's negatives: of one person, and not within `gap` seconds of one take.

    From negatives of another person a network would learn clothes and background.

    Args:
        batch: `subject`, `sequence` and `time` (seconds).
        gap: Least time between two negatives of one take, seconds.

    Returns:
        Symmetric; false on the diagonal.
    """
    same = batch.subject[:, None] == batch.subject
    near = (batch.time[:, None] - batch.time).abs() < gap - _SAME
    one = (batch.sequence[:, None] == batch.sequence) & (near | (batch.time[:, None] == batch.time))
    return same & ~one


def _noted(triplets: Triplets, counted: Tensor, loss: Tensor) -> dict[str, Tensor]:
    """Mean distances, and the percentage of anchors with a loss above 0: between 20 and 80 is healthy."""
    count = counted.sum().clamp_min(1)
    values = {
        "positive": triplets.positive,
        "negative": triplets.negative,
        "active_percent": 100.0 * (loss > 0),
    }
    return {name: torch.where(counted, value, 0.0).sum().detach() / count for name, value in values.items()}
