"""EpipolarPose: a 3D pose from one crop, trained by poses triangulated from several views. [Kocabas19]

A ResNet with deconvolutions gives every joint a volume over the crop and over depth; the expected position under its
softmax is the joint [Sun18]. It is trained by a 3D pose per instant: the truth, or a pseudo-label that was
triangulated from a frozen 2D network's joints. Each view of each instant is a crop of its own.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.cameras import Cameras
from coview.errors import InputError
from coview.methods.shared.base import CameraPoses
from coview.methods.shared.image_method import ImageConfig, ImageMethod, with_axes_of
from coview.networks.backbone import Depth
from coview.representations.crop_volume import cross_entropy, depth_of_size, marginals, mean_cell
from coview.sample import MultiView
from coview.skeletons import Skeleton

LIMBS = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
)
# numbers of a volume that are held at a time where nothing is learnt
_AT_ONCE = 2**26
# metres: no joint is nearer to a camera
_NEAREST = 0.1


@dataclass(frozen=True, kw_only=True)
class VolumePoses(CameraPoses):
    """Poses, and the marginals of the volumes that they are the means of."""

    # column, row, depth: shares of the volume's width, height and depth, 0 at its centre, ±½ at its faces
    coordinates: Float[Tensor, "*batch views joints 3"]
    # marginal of the volume's softmax over its columns; sums to 1
    across: Float[Tensor, "*batch views joints columns"]
    # the same over its rows
    down: Float[Tensor, "*batch views joints rows"]
    # the same over its layers of depth
    deep: Float[Tensor, "*batch views joints layers"]
    # depth of the root in metres: estimated from the assumed size, or the truth
    root_depth: Float[Tensor, "*batch views"]


@dataclass(frozen=True)
class EpipolarPoseConfig(ImageConfig):
    """The paper's settings [Kocabas19]; recipes choose smaller networks.

    `released_numerics` here: cell i lies at pixel 4 i and layer i at 2 i / cells − 1 ranges, no half cell; colours
    are RGB."""

    # number of layers of the ResNet: 18, 34, 50, 101 or 152
    depth: Depth = 50
    # longer side of the crops in pixels, in training and prediction; a multiple of 32
    size: int = 256
    # cells of the volume along the optical axis
    cells: int = 64
    # extent of the volume before and behind the root, in the unit of `depth_unit`
    depth_range: float = 1.0
    # unit of `depth_range`. crop: half the crop's longer side, as long as that is at the root's depth, so that the
    # scale of labels does not matter; with crops of 2 m, the paper's, both are the same
    depth_unit: Literal["metres", "crop"] = "metres"
    # labels of the training: truth, 3D labels; pseudo, poses computed from 2D joints alone
    taught_by: Literal["truth", "pseudo"] = "pseudo"
    # source of the root's depth, which metric poses need. estimated: the depth at which the limbs of both sides have
    # their assumed length; labels: the truth, as in the paper's evaluation, and then labels are among the inputs
    root_depth: Literal["estimated", "labels"] = "estimated"
    # assumed length of thigh, shank, upper arm and forearm of one side together, metres; of a person of 1.70 m
    # [Winter09]
    limbs: float = 1.40
    # factor on the volumes before their softmax
    multiplier: float = 1.0
    # error from which on smooth L1 is linear, as a share of the volume. 1, the paper's: always half the squared error;
    # less gives small errors more weight, which short trainings need
    beta: float = 1.0
    # weight of the cross-entropy of the true column, row and layer; ours, for short trainings
    cell_weight: float = 0.0
    # standard deviation in metres at which a pseudo-label has half the weight; 0: all have the same; ours
    half_at: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cells < 2:
            raise InputError(f"EpipolarPoseConfig: cells must be at least 2, got {self.cells}.")
        if not min(self.depth_range, self.limbs, self.multiplier, self.beta) > 0:
            raise InputError(
                f"EpipolarPoseConfig: depth_range, limbs (metres), multiplier and beta must be above 0, got "
                f"{self.depth_range}, {self.limbs}, {self.multiplier} and {self.beta}."
            )
        if min(self.cell_weight, self.half_at) < 0:
            raise InputError(
                f"EpipolarPoseConfig: cell_weight and half_at (metres) cannot be negative, got "
                f"{self.cell_weight} and {self.half_at}."
            )
        for name, choices in (
            ("depth_unit", ("metres", "crop")),
            ("taught_by", ("truth", "pseudo")),
            ("root_depth", ("estimated", "labels")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"EpipolarPoseConfig: {name} is '{choices[0]}' or '{choices[1]}', got {getattr(self, name)!r}."
                )
        if self.half_at and self.taught_by == "truth":
            raise InputError(
                "EpipolarPoseConfig: half_at weighs pseudo-labels by their covariance, and the truth has none. Set "
                "it to 0, or taught_by to 'pseudo'."
            )
        if self.fewest_views:
            raise InputError(
                f"EpipolarPoseConfig: fewest_views is {self.fewest_views}, and each crop is learnt by itself: how many "
                f"views there are makes no difference. Leave it at 0."
            )

    @property
    def bgr(self) -> bool:
        """Never: the released weights are for red, green, blue."""
        return False

    def build(self, skeleton: Skeleton) -> "EpipolarPose":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return EpipolarPose(self, skeleton)


class EpipolarPose(ImageMethod[VolumePoses]):
    """Joints as expected positions in a volume over the crop and over depth relative to the root.

    Of `cameras` only the intrinsics are read, unless the labels give the root's depth."""

    config: EpipolarPoseConfig

    def __init__(self, config: EpipolarPoseConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton, maps_per_joint=config.cells)
        from_labels = config.root_depth == "labels"
        self.inputs = frozenset({"images", "cameras"}) | ({"joints3d"} if from_labels else set())
        labels = {"pseudo3d", "pseudo_cameras"} if config.taught_by == "pseudo" else {"joints3d"}
        if config.half_at:
            labels |= {"pseudo_covariance"}
        self.supervision = frozenset(labels) - self.inputs
        self.channels = len(skeleton) * config.cells
        self.limbs = () if from_labels else limb_indices(skeleton)
        for name, weight in self.backbone.named_parameters():
            if name.startswith(("deconv_layers", "final_layer")) and weight.ndim == 4:
                nn.init.normal_(weight, std=0.001)
            elif name == "final_layer.bias":
                nn.init.zeros_(weight)

    def forward(self, batch: MultiView) -> VolumePoses:
        """Root-centred poses in the axes of each camera.

        Args:
            batch: `images` and `cameras`; with `root_depth` "labels" `joints3d` too.

        Returns:
            Poses of the assumed size, or in metres with `root_depth` "labels"; NaN for a view without intrinsics, or
            without a depth of the root in the labels.
        """
        views = self.views(batch)
        across, down, deep = self._marginals(views.images)
        half = 0.0 if self.config.released_numerics else 0.5
        coordinates = torch.stack(
            [(mean_cell(each) + half) / each.shape[-1] - 0.5 for each in (across, down, deep)], dim=-1
        )
        pixels = (coordinates[..., :2] + 0.5) * coordinates.new_tensor(views.size) - half
        rays = views.cameras.normalise(pixels)
        rays = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)
        fixed, growing = self._depths(coordinates[..., 2], views.cameras)
        if self.config.root_depth == "labels":
            depth = self._labelled_depth(batch)
        else:
            depth = self._estimated_depth(rays, fixed, growing)
        pose = rays * (fixed + growing * depth[..., None])[..., None]
        parts = {
            "joints3d": pose - pose[..., self.root, None, :],
            "coordinates": coordinates,
            "across": across,
            "down": down,
            "deep": deep,
            "root_depth": depth,
        }
        return VolumePoses(**with_axes_of(batch, **parts))

    def losses(self, predicted: VolumePoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Smooth L1 of the coordinates, summed over joints and axes, per crop. [Kocabas19]

        Joints that are unknown, behind the camera or outside the volume do not count.

        Args:
            predicted: Coordinates and marginals of all crops.
            batch: The labels and their cameras; `pseudo_covariance` if `half_at` is set.

        Returns:
            `coordinates` and, unless its weight is 0, `cell`; no unit.
        """
        pseudo = self.config.taught_by == "pseudo"
        pose, cameras = (batch.pseudo3d, batch.pseudo_cameras) if pseudo else (batch.joints3d, batch.cameras)
        target = self.targets(pose, cameras)
        # false for NaN
        inside = (target.abs() <= 0.5).all(dim=-1)
        weights = inside * self._weights(batch)
        target = torch.where(inside[..., None], target, 0.0)
        gap = torch.where(inside[..., None], predicted.coordinates - target, 0.0)
        crops = max(1, inside[..., 0].numel())
        smooth = nn.functional.smooth_l1_loss(
            gap, torch.zeros_like(gap), reduction="none", beta=self.config.beta
        )
        terms = {"coordinates": (weights * smooth.sum(dim=-1)).sum() / crops}
        if self.config.cell_weight:
            axes = (predicted.across, predicted.down, predicted.deep)
            half = 0.0 if self.config.released_numerics else 0.5
            entropies = [
                cross_entropy(shares, (target[..., axis] + 0.5) * shares.shape[-1] - half)
                for axis, shares in enumerate(axes)
            ]
            terms["cell"] = self.config.cell_weight * (weights * sum(entropies)).sum() / crops
        return terms

    def targets(
        self, pose: Float[Tensor, "*batch joints 3"], cameras: Cameras
    ) -> Float[Tensor, "*batch views joints 3"]:
        """The true `coordinates`: world poses in the volume of every view.

        With `depth_unit` "metres" a wrong scale of the world makes depths wrong by as much; columns and rows do not
        depend on it, and with "crop" depths do not either.

        Args:
            pose: World poses, metres; NaN for joints that are not known.
            cameras: *batch × views.

        Returns:
            Column, row and depth as shares of the volume, 0 at its centre, ±½ at its faces; NaN where the joint is
            not known or the root is behind the camera.
        """
        points = pose[..., None, :, :]
        depth = cameras.to_camera(points)[..., 2]
        root = depth[..., self.root]
        root = torch.where(root > 0, root, torch.nan)
        half = 0.0 if self.config.released_numerics else 0.5
        flat = (cameras.project(points) + half) / cameras.size[..., None, :] - 0.5
        relative = depth - root[..., None]
        deep = (
            relative / (2 * self.config.depth_range)
            if self.config.depth_unit == "metres"
            else relative / (self._crop_range(cameras) * root)[..., None]
        )
        return torch.cat([flat, deep[..., None]], dim=-1)

    # --- inside ----------------------------------------------------------------------------------

    def _marginals(self, images: Float[Tensor, "instants views 3 height width"]) -> tuple[Tensor, ...]:
        """Marginals of every volume, instants × views × joints; without gradients a few crops at a time."""
        crops = images.flatten(0, 1)
        count = len(crops)
        if not self.training and not torch.is_grad_enabled():
            maps = crops.shape[-1] * crops.shape[-2] // 16
            count = max(1, _AT_ONCE // (self.channels * maps))
        found = [self._volume_marginals(part) for part in crops.split(max(1, count))]
        return tuple(torch.cat(parts).unflatten(0, images.shape[:2]) for parts in zip(*found, strict=True))

    def _volume_marginals(self, crops: Float[Tensor, "n 3 height width"]) -> tuple[Tensor, ...]:
        # the channel of a joint's layer is joint · cells + layer
        scores = self.maps(crops[:, None]).heatmaps.unflatten(1, (-1, self.config.cells))
        scale = self.config.multiplier
        return marginals(scores if scale == 1 else scale * scores)

    def _crop_range(self, cameras: Cameras) -> Float[Tensor, "*batch"]:
        """The volume's extent in depth, as a multiple of the root's depth; for `depth_unit` "crop"."""
        side = cameras.size.amax(dim=-1)
        return self.config.depth_range * side / cameras.focal.prod(dim=-1).sqrt()

    def _depths(
        self, coordinate: Float[Tensor, "instants views joints"], cameras: Cameras
    ) -> tuple[Tensor, Tensor]:
        """For each joint's depth: what is added to the root's depth, and the factor on it."""
        if self.config.depth_unit == "metres":
            return coordinate * (2 * self.config.depth_range), torch.ones_like(coordinate)
        growing = 1 + coordinate * self._crop_range(cameras)[..., None]
        return torch.zeros_like(coordinate), growing.clamp_min(_NEAREST)

    def _estimated_depth(
        self,
        rays: Float[Tensor, "instants views joints 3"],
        fixed: Float[Tensor, "instants views joints"],
        growing: Float[Tensor, "instants views joints"],
    ) -> Float[Tensor, "instants views"]:
        """The root's depth at which the limbs have the assumed length."""
        parents, children = (list(ends) for ends in zip(*self.limbs, strict=True))
        slope, constant = rays * growing[..., None], rays * fixed[..., None]
        slope = slope[..., children, :] - slope[..., parents, :]
        constant = constant[..., children, :] - constant[..., parents, :]
        in_front = _NEAREST + (self.config.depth_range if self.config.depth_unit == "metres" else 0.0)
        return depth_of_size(slope, constant, 2 * self.config.limbs, in_front)

    def _labelled_depth(self, batch: MultiView) -> Float[Tensor, "instants views"]:
        """The true depth of the root joint."""
        root = batch.joints3d[..., None, self.root, None, :]
        return batch.cameras.to_camera(root)[..., 0, 2].reshape(-1, batch.cameras.size.shape[-2])

    def _weights(self, batch: MultiView) -> Tensor | float:
        """Weight of each joint by the variance of its pseudo-label; the same for all views."""
        if not self.config.half_at:
            return 1.0
        variance = batch.pseudo_covariance.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
        weights = 1 / (1 + variance / self.config.half_at**2)
        return torch.where(weights.isfinite(), weights, 0.0)[..., None, :]


def limb_indices(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Indices of both ends of thighs, shanks, upper arms and forearms.

    Args:
        skeleton: Joints of the poses.

    Raises:
        InputError: The skeleton lacks one of the joints.
    """
    missing = sorted({joint for limb in LIMBS for joint in limb} - set(skeleton.joints))
    if missing:
        raise InputError(
            f"EpipolarPose: skeleton '{skeleton.name}' has no {', '.join(missing)}, and how far a person is away is "
            f"found by the length of all limbs. Give a skeleton with them, or set root_depth to 'labels'."
        )
    return tuple((skeleton.index(a), skeleton.index(b)) for a, b in LIMBS)
