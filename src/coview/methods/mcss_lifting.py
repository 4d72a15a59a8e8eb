"""MCSS on 2D joints with an encoder that lifts: few labels, and views that see one rigid person. ours

[Mitra20] draws the views of an instant together and pushes others away, and a head learns from few labels what a point
on the sphere means. Here the point is itself a pose: the encoder finds depths and corrects what it was shown; the pose
turned upright and to its heading, of unit size, is the embedding. Without labels, the pose of one view, moved and
turned about the vertical, must be what each other view saw, and limbs as long as limbs are. Labels teach the rest.

Up is the same in every picture: cameras stand level, and look down by one angle that views and labels teach. A pose
that leans away from one camera leans elsewhere seen from another, so that views can tell how upright a person stands;
were the pose free to turn any way, or up an answer of its own, they could not.
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

# factor on the first weights of the answer: flat poses, as they were seen
_START = 0.1
# how much a joint that was not seen counts where a person is placed
_DOUBTFUL = 1e-3


@dataclass(frozen=True, kw_only=True)
class LiftedCanonical(CanonicalPoses):
    """What the losses compare; all of it finite. Mean torsos; z is up and y leads away from the camera."""

    # where they were seen, at the depths found
    points: Float[Tensor, "*batch views joints 3"]
    # where the encoder takes them to be
    corrected: Float[Tensor, "*batch views joints 3"]
    # confidence, 0 below the threshold
    trust: Float[Tensor, "*batch views joints"]


@dataclass(frozen=True)
class McssLiftingConfig(MethodConfig):
    """Numbers are ours, chosen on held-out training subjects of mocap4 (docs/methods/mcss.md)."""

    # of the lifter
    width: int = 512
    placing: Placing = field(default_factory=Placing)
    # weight of what one view says of another; with the two below 0: the baseline
    across: float = 4.0
    # of the poses as seen, between views [Iqbal20]
    agreement: float = 0.5
    # of the limbs' lengths [Iqbal20]
    limb_weight: float = 6.0
    # joints less confident than this teach nothing
    min_confidence: float = 0.3
    # joints are at most so many mean torsos before or behind the root
    reach: float = 1.5
    # share of the training over which views come to teach: flat poses agree too easily
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
        self.lifter = Lifter(len(skeleton), config.width, rotation_numbers=0)
        self.pitch = nn.Parameter(torch.zeros(()))  # radians by which cameras look down
        numbers = 3 * len(self.others)
        self.head = nn.Linear(numbers, numbers)  # what the embedding lacks to be a pose in metres
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
        """How large the labelled poses are, and how long their limbs; ValueError where there are not two."""
        poses = complete_poses([self._target(batch).flatten(-2) for batch in batches], type(self).__name__)
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
        rays, weights, known, turn = person_centred_rays(batch, self.config.focal)
        answer = self._answer(rays, weights)
        depth = self.config.reach * (answer[..., 2] / self.config.reach).tanh()
        depth = depth - depth[..., self.root, None]
        points = self.config.placing.place(rays, depth, weights.clamp_min(_DOUBTFUL), self.limbs)
        size = root_mean_square(weighted_centred(rays, weights), weights > 0)
        shift = answer[..., :2] * size[..., None, None] * points[..., 2:].detach()
        corrected = points + torch.cat([shift, torch.zeros_like(depth)[..., None]], dim=-1)
        upright = self._upright(turn)
        points, corrected = points @ upright.mT, corrected @ upright.mT
        embedding = unit(self._headed(corrected)[..., self.others, :].flatten(-2))
        numbers = self.size * (embedding + self.head(embedding))
        pose = embedding.new_zeros(points.shape)
        pose[..., self.others, :] = numbers.unflatten(-1, (-1, 3))
        return LiftedCanonical(
            joints3d=torch.where(known[..., None, None], pose, torch.nan),
            embedding=torch.where(known[..., None], embedding, torch.nan),
            points=points,
            corrected=corrected,
            trust=torch.where(weights < self.config.min_confidence, 0.0, weights),
        )

    def losses(self, predicted: LiftedCanonical, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """The mean distance of joints in metres where there is a label; what the views say of each other elsewhere."""
        config, terms = self.config, {"pose": self._pose_loss(predicted, batch)}
        share = min(1.0, self.progress / config.ramp) if config.ramp else 1.0
        points, corrected, trust = predicted.points, predicted.corrected, predicted.trust
        if config.across:
            terms["across"] = share * config.across * cross_view_error(corrected, points, trust, upright=True)
        if config.agreement:
            terms["agreement"] = share * config.agreement * view_disagreement(points, trust, upright=True)
        if config.limb_weight:
            lengths = limb_norms(points, self.limbs)
            off = limb_error(lengths, self.limbs.in_torsos(lengths), self.limbs.both(trust))
            terms["limb"] = share * config.limb_weight * off
        return terms

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Changes nothing; says whether all poses have got the same embedding."""
        return embedding_facts(self(batch).embedding)

    # --- inside ----------------------------------------------------------------------------------

    def _answer(self, rays: Tensor, weights: Tensor) -> Float[Tensor, "*batch joints 3"]:
        """Shifts in sizes of the person, and depths in torsos: means of the answers to a view and its mirror."""
        sideways = rays.new_tensor([-1.0, 1.0, 1.0])
        shown = weighted_unit_norm(rays, weights) * (2 * rays.shape[-2]) ** 0.5
        flipped = shown[..., self.mirror, :] * sideways[:2]
        answer, other = self.lifter(shown, weights)[0], self.lifter(flipped, weights[..., self.mirror])[0]
        return (answer + other[..., self.mirror, :] * sideways) / 2

    def _upright(self, turn: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
        """The rotation to axes of which z is up and y leads away, from those of a camera that looks at the person.

        `turn` goes to these from a camera that stands level and looks down by the pitch."""
        level = torch.stack([torch.zeros_like(self.pitch), -self.pitch.cos(), -self.pitch.sin()])
        up, away = turn @ level, turn.new_tensor([0.0, 0.0, 1.0])
        away = unit(away - up[..., 2:] * up)
        return torch.stack([torch.linalg.cross(away, up), away, up], dim=-2)

    def _headed(self, points: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "*batch joints 3"]:
        """Root-centred, turned about z until the left hip is on the +x side."""
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
        known = (target.isfinite() & found.isfinite()).all(dim=-1)
        # exchanged before the norm: a NaN behind `where` still has a NaN gradient
        gap = torch.where(known[..., None], found - target, 1.0)
        return torch.where(known, gap.norm(dim=-1), 0.0).sum() / known.sum().clamp_min(1)
