"""MCSS on 2D joints with a lifter as encoder: few labels, and views of one rigid person. ours

[Mitra20] learns an embedding by a triplet loss, and a head regresses the pose from it. Here the embedding is itself a
pose: the encoder estimates depths and corrects the 2D joints; the pose rotated upright and to its heading, of unit
size, is the embedding. Without labels, the pose of one view, after a translation and a rotation about the vertical,
must match what each other view observed, and limbs must have their usual length. Labels determine the rest.

The vertical is assumed to be the same in every image: cameras have no roll, and look down by one angle that is learned
from views and labels. A pose that leans away from one camera leans sideways in another, so that views determine how
upright a person stands; with a free rotation, or a vertical estimated per view, they would not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.body.limb_lengths import LimbLengths, Limbs
from coview.errors import InputError
from coview.losses import cross_view_error, limb_error, view_disagreement
from coview.methods.shared.base import CanonicalPoses, Fact, Method, MethodConfig
from coview.methods.shared.canonical_targets import complete_poses, embedding_facts, person_centred_rays
from coview.networks.encoders import unit
from coview.networks.lifter import Lifter
from coview.representations.canonical_pose import canonical_pose
from coview.representations.normalised import root_mean_square, weighted_centred, weighted_unit_norm
from coview.representations.relative_depth import Placing, limb_norms
from coview.sample import MultiView
from coview.skeletons import Skeleton

# factor on the initial weights of the last layer: poses start flat, as they were observed
_START = 0.1
# least weight of a joint in the estimate of the root's depth
_MIN_WEIGHT = 1e-3


@dataclass(frozen=True, kw_only=True)
class LiftedCanonical(CanonicalPoses):
    """Canonical poses, and what the losses compare: in mean torsos, z up, y away from the camera; finite."""

    # joints on the rays of the detections, at the estimated depths
    points: Float[Tensor, "*batch views joints 3"]
    # joints after the encoder's correction
    corrected: Float[Tensor, "*batch views joints 3"]
    # of the detections, in [0, 1]; 0 below `min_confidence`
    confidence: Float[Tensor, "*batch views joints"]


@dataclass(frozen=True)
class McssLiftingConfig(MethodConfig):
    """Numbers are ours, chosen on held-out training subjects of mocap4 (docs/methods/mcss.md)."""

    # features of the lifter's layers
    width: int = 512
    # how relative depths become a pose
    placing: Placing = field(default_factory=Placing)
    # weight of the error of each view's corrected pose in the other views; with the two below 0: the baseline
    across: float = 4.0
    # weight of the disagreement of uncorrected poses between views [Iqbal20]
    agreement: float = 0.5
    # weight of the error of limb lengths [Iqbal20]
    limb_weight: float = 6.0
    # least confidence of joints that the losses between views use
    min_confidence: float = 0.3
    # largest depth of a joint before or behind the root, in mean torsos
    reach: float = 1.5
    # share of the training over which the losses between views get their full weight: flat poses agree too easily
    ramp: float = 0.3
    # assumed focal length in image diagonals
    focal: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"McssLiftingConfig: width must be at least 1, got {self.width}.")
        if min(self.across, self.agreement, self.limb_weight) < 0:
            raise InputError(
                f"McssLiftingConfig: across, agreement and limb_weight cannot be negative, got {self.across}, "
                f"{self.agreement} and {self.limb_weight}."
            )
        if not (min(self.reach, self.focal) > 0 and 0 <= self.min_confidence < 1 and 0 <= self.ramp <= 1):
            raise InputError(
                f"McssLiftingConfig: reach (mean torsos) and focal (image diagonals) are above 0, least_trust and ramp "
                f"are shares, got {self.reach}, {self.focal}, {self.min_confidence} and {self.ramp}."
            )

    def build(self, skeleton: Skeleton) -> "McssLifting":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return McssLifting(self, skeleton)


class McssLifting(Method[LiftedCanonical]):
    """MCSS lifting from 2D joints. Labels are canonical poses of world joints: z up; no camera is read."""

    inputs = frozenset({"joints2d", "confidence", "image_size"})
    supervision = frozenset({"joints3d", "labelled"})

    def __init__(self, config: McssLiftingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton, self.mirror = config, skeleton, list(skeleton.mirror)
        self.root, self.left_hip = skeleton.root_index, skeleton.index("left_hip")
        self.others = [joint for joint in range(len(skeleton)) if joint != self.root]
        usual = LimbLengths().of(skeleton)
        self.ends = usual.starts, usual.ends
        self.lifter = Lifter(len(skeleton), config.width, rotation_numbers=0)
        # angle in radians by which cameras look down
        self.pitch = nn.Parameter(torch.zeros(()))
        numbers = 3 * len(self.others)
        # correction of the embedding as a pose of unit size
        self.head = nn.Linear(numbers, numbers)
        self.size: Tensor
        self.lengths: Tensor
        self.register_buffer("size", torch.ones(()))
        self.register_buffer("lengths", torch.tensor(usual.lengths))
        with torch.no_grad():
            self.lifter.pose.weight.mul_(_START)
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[MultiView]) -> None:
        """Mean size of the labelled poses, and mean lengths of their limbs.

        Args:
            batches: All training instants with their labels.

        Raises:
            InputError: Fewer than two labelled poses are complete.
        """
        poses = complete_poses([self._target(batch).flatten(-2) for batch in batches], type(self).__name__)
        self.size.copy_(poses.norm(dim=-1).mean())
        whole = poses.new_zeros(len(poses), len(self.skeleton), 3)
        whole[:, self.others] = poses.unflatten(-1, (-1, 3))
        self.lengths.copy_(limb_norms(whole, self.limbs).mean(dim=0))

    @property
    def limbs(self) -> Limbs:
        """Limbs with their mean lengths (metres) in the labelled poses; Human3.6M's before training."""
        return Limbs(*self.ends, tuple(self.lengths.tolist()))

    def forward(self, batch: MultiView) -> LiftedCanonical:
        """One canonical pose per view, each from that view alone.

        Args:
            batch: `joints2d` (pixels), `confidence` and `image_size`.

        Returns:
            Poses in metres; NaN for a view with fewer than four detected joints.
        """
        rays, weights, valid, rotation = person_centred_rays(batch, self.config.focal)
        answer = self._answer(rays, weights)
        depth = self.config.reach * (answer[..., 2] / self.config.reach).tanh()
        depth = depth - depth[..., self.root, None]
        points = self.config.placing.place(rays, depth, weights.clamp_min(_MIN_WEIGHT), self.limbs)
        size = root_mean_square(weighted_centred(rays, weights), weights > 0)
        shift = answer[..., :2] * size[..., None, None] * points[..., 2:].detach()
        corrected = points + torch.cat([shift, torch.zeros_like(depth)[..., None]], dim=-1)
        upright = self._upright(rotation)
        points, corrected = points @ upright.mT, corrected @ upright.mT
        embedding = unit(self._headed(corrected)[..., self.others, :].flatten(-2))
        numbers = self.size * (embedding + self.head(embedding))
        pose = embedding.new_zeros(points.shape)
        pose[..., self.others, :] = numbers.unflatten(-1, (-1, 3))
        return LiftedCanonical(
            joints3d=torch.where(valid[..., None, None], pose, torch.nan),
            embedding=torch.where(valid[..., None], embedding, torch.nan),
            points=points,
            corrected=corrected,
            confidence=torch.where(weights < self.config.min_confidence, 0.0, weights),
        )

    def losses(self, predicted: LiftedCanonical, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean distance of joints from the labels, and unlabelled losses between views.

        Args:
            predicted: Poses of all views.
            batch: `joints3d` and `labelled`.

        Returns:
            `pose` in metres; unless their weight is 0 `across`, `agreement` and `limb`, without unit.
        """
        config, terms = self.config, {"pose": self._pose_loss(predicted, batch)}
        share = min(1.0, self.progress / config.ramp) if config.ramp else 1.0
        points, corrected, confidence = predicted.points, predicted.corrected, predicted.confidence
        if config.across:
            terms["across"] = (
                share * config.across * cross_view_error(corrected, points, confidence, upright=True)
            )
        if config.agreement:
            terms["agreement"] = (
                share * config.agreement * view_disagreement(points, confidence, upright=True)
            )
        if config.limb_weight:
            lengths = limb_norms(points, self.limbs)
            off = limb_error(lengths, self.limbs.in_torsos(lengths), self.limbs.both(confidence))
            terms["limb"] = share * config.limb_weight * off
        return terms

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Report whether the embedding has collapsed; changes nothing.

        Args:
            batch: A few hundred instants with the method's inputs.
        """
        return embedding_facts(self(batch).embedding)

    # --- inside ----------------------------------------------------------------------------------

    def _answer(self, rays: Tensor, weights: Tensor) -> Float[Tensor, "*batch joints 3"]:
        """Shifts in sizes of the person, and depths in torsos: means over a view and its mirror image."""
        sideways = rays.new_tensor([-1.0, 1.0, 1.0])
        shown = weighted_unit_norm(rays, weights) * (2 * rays.shape[-2]) ** 0.5
        flipped = shown[..., self.mirror, :] * sideways[:2]
        answer, other = self.lifter(shown, weights)[0], self.lifter(flipped, weights[..., self.mirror])[0]
        return (answer + other[..., self.mirror, :] * sideways) / 2

    def _upright(self, rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
        """The rotation into axes with z up and y away from the camera, from those of a camera that looks at the person.

        `rotation`: into the latter, from those of a camera without roll that looks down by the pitch."""
        level = torch.stack([torch.zeros_like(self.pitch), -self.pitch.cos(), -self.pitch.sin()])
        up, away = rotation @ level, rotation.new_tensor([0.0, 0.0, 1.0])
        away = unit(away - up[..., 2:] * up)
        return torch.stack([torch.linalg.cross(away, up), away, up], dim=-2)

    def _headed(self, points: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "*batch joints 3"]:
        """Root-centred, rotated about z until the left hip is on the +x side."""
        centred = points - points[..., self.root, None, :]
        cosine, sine = unit(centred[..., self.left_hip, :2])[..., None, :].unbind(-1)
        x, y, height = centred.unbind(-1)
        return torch.stack([cosine * x + sine * y, cosine * y - sine * x, height], dim=-1)

    def _target(self, batch: MultiView) -> Float[Tensor, "*batch others 3"]:
        """Canonical joints but the root of the labelled instants, metres; NaN elsewhere."""
        world = torch.where(batch.labelled[..., None, None], batch.joints3d, torch.nan)
        return canonical_pose(world, self.skeleton)[..., self.others, :]

    def _pose_loss(self, predicted: LiftedCanonical, batch: MultiView) -> Float[Tensor, ""]:
        target, found = self._target(batch)[..., None, :, :], predicted.joints3d[..., self.others, :]
        valid = (target.isfinite() & found.isfinite()).all(dim=-1)
        # replaced before the norm: a NaN behind `where` still has a NaN gradient
        gap = torch.where(valid[..., None], found - target, 1.0)
        return torch.where(valid, gap.norm(dim=-1), 0.0).sum() / valid.sum().clamp_min(1)
