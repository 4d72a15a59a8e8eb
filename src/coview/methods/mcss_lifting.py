"""MCSS on 2D joints with an encoder that lifts: few labels, and views that see one rigid person. ours

[Mitra20] draws the views of an instant together and pushes others away, and a head learns from few labels what a point
on the sphere means. Here the point is itself a pose: the encoder finds depths, corrects what it was shown, and says
where up is; the pose turned upright and to its heading, of unit size, is the embedding. Without labels, the pose of one
view moved rigidly must be what each other view saw, and limbs as long as limbs are. Labels teach the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.losses import limb_error, seen_across, view_disagreement
from coview.methods.base import CanonicalPoses, Fact, Method, MethodConfig
from coview.methods.canonical import looked_at, said_of, whole_poses
from coview.networks.encoders import unit
from coview.networks.lifter import Lifter
from coview.representations.canonical_pose import canonical_pose
from coview.representations.limb_lengths import LimbLengths, Limbs
from coview.representations.normalised import root_mean_square, weighted_centred, weighted_unit_norm
from coview.representations.relative_depth import Placing, limb_norms
from coview.sample import MultiView
from coview.skeletons import Skeleton

_START = (
    0.1  # factor on the first weights of both answers: flat poses, as they were seen, and upright cameras
)
_DOUBTFUL = 1e-3  # how much a joint that was not seen counts where a person is placed


@dataclass(frozen=True, kw_only=True)
class LiftedCanonical(CanonicalPoses):
    """What the losses compare; all of it finite. Mean torsos, axes of a camera that looks at the person."""

    points: Float[Tensor, "*batch views joints 3"]  # where they were seen, at the depths found
    corrected: Float[Tensor, "*batch views joints 3"]  # where the encoder takes them to be
    trust: Float[Tensor, "*batch views joints"]  # confidence, 0 below the threshold


@dataclass(frozen=True)
class McssLiftingConfig(MethodConfig):
    """Numbers are ours, chosen on held-out training subjects of mocap4 (docs/mcss.md)."""

    width: int = 256  # of the lifter
    placing: Placing = field(default_factory=Placing)
    across: float = 2.0  # weight of what one view says of another; with the two below 0: the baseline
    agreement: float = 0.6  # of the poses as seen, between views [Iqbal20]
    limb_weight: float = 6.0  # of the limbs' lengths [Iqbal20]
    least_trust: float = 0.3  # joints less confident than this teach nothing
    reach: float = 1.5  # joints are at most so many mean torsos before or behind the root
    ramp: float = 0.1  # share of the training over which what views teach comes in
    focal: float = 1.0  # assumed focal length in image diagonals

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"McssLiftingConfig: width must be at least 1, got {self.width}.")
        if min(self.across, self.agreement, self.limb_weight) < 0:
            raise ValueError(
                f"McssLiftingConfig: across, agreement and limb_weight cannot be negative, got {self.across}, "
                f"{self.agreement} and {self.limb_weight}."
            )
        if not (min(self.reach, self.focal) > 0 and 0 <= self.least_trust < 1 and 0 <= self.ramp <= 1):
            raise ValueError(
                f"McssLiftingConfig: reach (mean torsos) and focal (image diagonals) are above 0, least_trust and ramp "
                f"are shares, got {self.reach}, {self.focal}, {self.least_trust} and {self.ramp}."
            )

    def build(self, skeleton: Skeleton) -> "McssLifting":
        return McssLifting(self, skeleton)


class McssLifting(Method[LiftedCanonical]):
    """From 2D joints. Labels are canonical poses of world joints: gravity must be z, and no camera is read."""

    inputs = frozenset({"joints2d", "confidence", "image_size"})
    supervision = frozenset({"joints3d", "labelled"})

    def __init__(self, config: McssLiftingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton, self.mirror = config, skeleton, list(skeleton.mirror)
        self.root, self.left_hip = skeleton.root_index, skeleton.index("left_hip")
        self.others = [joint for joint in range(len(skeleton)) if joint != self.root]
        usual = LimbLengths().of(skeleton)
        self.ends = usual.starts, usual.ends
        self.lifter = Lifter(len(skeleton), config.width, rotation_numbers=3)
        numbers = 3 * len(self.others)
        self.head = nn.Linear(numbers, numbers)  # what the embedding lacks to be a pose in metres
        self.size: Tensor
        self.lengths: Tensor
        self.register_buffer("size", torch.ones(()))
        self.register_buffer("lengths", torch.tensor(usual.lengths))
        with torch.no_grad():
            self.lifter.pose.weight.mul_(_START)
            self.lifter.rotation.weight.mul_(_START)
            self.lifter.rotation.bias.copy_(torch.tensor([0.0, -1.0, 0.0]))
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def begin(self, batches: Iterable[MultiView]) -> None:
        """How large the labelled poses are, and how long their limbs; ValueError where there are not two."""
        poses = whole_poses([self._target(batch).flatten(-2) for batch in batches], type(self).__name__)
        self.size.copy_(poses.norm(dim=-1).mean())
        whole = poses.new_zeros(len(poses), len(self.skeleton), 3)
        whole[:, self.others] = poses.unflatten(-1, (-1, 3))
        self.lengths.copy_(limb_norms(whole, self.limbs).mean(dim=0))

    @property
    def limbs(self) -> Limbs:
        """Of the labelled poses, on average; Human3.6M's before training."""
        return Limbs(*self.ends, tuple(self.lengths.tolist()))

    def forward(self, batch: MultiView) -> LiftedCanonical:
        """Each view by itself; NaN for a view that shows fewer than four joints."""
        rays, weights, known = looked_at(batch, self.config.focal)
        answer, up = self._answer(rays, weights)
        depth = self.config.reach * (answer[..., 2] / self.config.reach).tanh()
        depth = depth - depth[..., self.root, None]
        points = self.config.placing.place(rays, depth, weights.clamp_min(_DOUBTFUL), self.limbs)
        size = root_mean_square(weighted_centred(rays, weights), weights > 0)
        shift = answer[..., :2] * size[..., None, None] * points[..., 2:].detach()
        corrected = points + torch.cat([shift, torch.zeros_like(depth)[..., None]], dim=-1)
        embedding = unit(self._upright(corrected, up)[..., self.others, :].flatten(-2))
        numbers = self.size * (embedding + self.head(embedding))
        pose = embedding.new_zeros(points.shape)
        pose[..., self.others, :] = numbers.unflatten(-1, (-1, 3))
        return LiftedCanonical(
            joints3d=torch.where(known[..., None, None], pose, torch.nan),
            embedding=torch.where(known[..., None], embedding, torch.nan),
            points=points,
            corrected=corrected,
            trust=torch.where(weights < self.config.least_trust, 0.0, weights),
        )

    def losses(self, predicted: LiftedCanonical, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """The mean distance of joints in metres where there is a label; what the views say of each other elsewhere."""
        config, terms = self.config, {"pose": self._pose_loss(predicted, batch)}
        share = min(1.0, self.progress / config.ramp) if config.ramp else 1.0
        points, corrected, trust = predicted.points, predicted.corrected, predicted.trust
        if config.across:
            terms["across"] = share * config.across * seen_across(corrected, points, trust)
        if config.agreement:
            terms["agreement"] = share * config.agreement * view_disagreement(points, trust)
        if config.limb_weight:
            lengths = limb_norms(points, self.limbs)
            off = limb_error(lengths, self.limbs.in_torsos(lengths), self.limbs.both(trust))
            terms["limb"] = share * config.limb_weight * off
        return terms

    @torch.no_grad()
    def revise(self, batch: MultiView) -> dict[str, Fact]:
        """Changes nothing; says whether all poses have got the same embedding."""
        return said_of(self(batch).embedding)

    # --- inside ----------------------------------------------------------------------------------

    def _answer(
        self, rays: Tensor, weights: Tensor
    ) -> tuple[Float[Tensor, "*batch joints 3"], Float[Tensor, "*batch 3"]]:
        """Shifts in sizes of the person, depths in torsos, and up: means of the answers to a view and its mirror."""
        sideways = rays.new_tensor([-1.0, 1.0, 1.0])
        shown = weighted_unit_norm(rays, weights) * (2 * rays.shape[-2]) ** 0.5
        pose, up = self.lifter(shown, weights)
        flipped = shown[..., self.mirror, :] * sideways[:2]
        other, other_up = self.lifter(flipped, weights[..., self.mirror])
        return (pose + other[..., self.mirror, :] * sideways) / 2, (up + other_up * sideways) / 2

    def _upright(self, points: Tensor, up: Tensor) -> Float[Tensor, "*batch joints 3"]:
        """Root-centred, up on z, the left hip on the +x side: a rotation of determinant +1."""
        centred = points - points[..., self.root, None, :]
        up, hip = unit(up), centred[..., self.left_hip, :]
        side = unit(hip - (hip * up).sum(dim=-1, keepdim=True) * up)
        axes = torch.stack([side, torch.linalg.cross(up, side), up], dim=-2)
        return centred @ axes.mT

    def _target(self, batch: MultiView) -> Float[Tensor, "*batch others 3"]:
        """Canonical joints but the root of the labelled instants, metres; NaN elsewhere."""
        world = torch.where(batch.labelled[..., None, None], batch.joints3d, torch.nan)
        return canonical_pose(world, self.skeleton)[..., self.others, :]

    def _pose_loss(self, predicted: LiftedCanonical, batch: MultiView) -> Float[Tensor, ""]:
        target, found = self._target(batch)[..., None, :, :], predicted.joints3d[..., self.others, :]
        known = (target.isfinite() & found.isfinite()).all(dim=-1)
        # exchanged before the norm: a NaN behind `where` still has a NaN gradient
        gap = torch.where(known[..., None], found - target, 1.0)
        return torch.where(known, gap.norm(dim=-1), 0.0).sum() / known.sum().clamp_min(1)
