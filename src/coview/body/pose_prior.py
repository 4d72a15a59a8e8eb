"""A distribution of human poses, learnt from noisy reconstructed poses, and the posterior of each pose under it.

Triangulation estimates every joint by itself. The joints of many poses together also determine bone lengths and
plausible joint angles. Poses follow a mixture of Gaussians and are observed with a noise of known covariance per
joint, which is deconvolved from it [Bovy11]; the posterior of each pose follows in closed form (empirical Bayes).
No other data are used.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.body.factor_gaussian import PoseFactors, product
from coview.skeletons import Skeleton

# poses per Gaussian: 17 joints have 1326 second moments, most of them shared between neighbours
ENOUGH = 500
# standard deviations of free translation (metres) and rotation about the vertical (radians) of a pose
_SHIFT, _TURN = 0.1, 0.1
# metres: standard deviation at which the noise of a joint is clipped
_FAR = 1.0
# m²: variance of unknown joints; large enough not to discriminate, and its cube fits into a float32
_UNSEEN = 1e12
# poses that are assigned to Gaussians at a time
_BLOCK = 8192
# poses of one Gaussian at a time: as many as fit into a CPU's cache
_TOGETHER = 512
_SIDES = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))


@dataclass(frozen=True)
class PosePrior:
    """Mixture of Gaussians over poses in the body frame (root-independent, facing one way); metres."""

    # metres
    means: Float[Tensor, "parts joints 3"]
    # m²; numbers = joints × 3
    covariances: Float[Tensor, "parts numbers numbers"]
    # joint indices of left and right sides, which define the heading of a pose
    across: tuple[tuple[int, int], ...]

    def posterior(
        self,
        points: Float[Tensor, "poses joints 3"],
        covariance: Float[Tensor, "poses joints 3 3"],
        up: Float[Tensor, "3"],
    ) -> tuple[Float[Tensor, "poses joints 3"], Float[Tensor, "poses joints 3 3"]]:
        """Posterior mean and per-joint covariance of noisy poses, under the most likely component of the mixture.

        With noise B and covariance S of a pose y around μ: y - B (S + B)⁻¹ (y - μ) and B - B (S + B)⁻¹ B [Bovy11 eq. 8,
        9], with S as approximated by `PoseFactors`. In float32.

        Args:
            points: joints in metres, any place and heading; NaN: unknown, and stays so.
            covariance: of each joint, m².
            up: unit vector in the frame of `points`."""
        found, posterior = points.clone(), covariance.clone()
        for start in range(0, len(points), _BLOCK):
            block = slice(start, start + _BLOCK)
            found[block], posterior[block] = self._of_block(points[block], covariance[block], up.to(points))
        return found, posterior

    def _of_block(self, points: Tensor, covariance: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
        poses, middle, rotation = to_body_frame(points, self.across, up, self.means.mean(dim=0).to(points))
        parts = (each.split(_TOGETHER) for each in (poses, covariance, rotation))
        part = torch.cat([self._most_likely(*some) for some in zip(*parts, strict=True)])
        mean, posterior = torch.empty_like(poses), torch.empty_like(covariance)
        for number, gaussian in enumerate(self._gaussians):
            for mine in (part == number).nonzero()[:, 0].split(_TOGETHER):
                if len(mine):
                    mean[mine], posterior[mine] = _posterior_of(
                        gaussian, poses[mine], covariance[mine], rotation[mine]
                    )
        kept = points.isfinite().all(dim=-1, keepdim=True)
        found = torch.where(kept, mean @ rotation + middle, points)
        return found, torch.where(kept[..., None], posterior, covariance)

    @cached_property
    def _gaussians(self) -> list[PoseFactors]:
        return [
            PoseFactors.from_covariance(mean, covariance)
            for mean, covariance in zip(self.means, self.covariances, strict=True)
        ]

    def _most_likely(
        self,
        poses: Float[Tensor, "poses joints 3"],
        covariance: Float[Tensor, "poses joints 3 3"],
        rotation: Float[Tensor, "poses 3 3"],
    ) -> Int[Tensor, "poses"]:
        """The component of highest likelihood per pose, with coordinates taken as independent."""
        variance = self.covariances.diagonal(dim1=1, dim2=2).unflatten(1, (-1, 3)).to(poses)[..., None]
        places = _last(poses)
        valid = places.isfinite()
        noise = _rotated_noise(covariance, rotation).diagonal(dim1=1, dim2=2).transpose(1, 2)
        noise = torch.where(valid, noise, _UNSEEN)
        places = torch.where(valid, places, 0.0)
        costs = []
        for mean, own in zip(self.means.to(poses)[..., None], variance, strict=True):
            total = noise + own
            volume = total[:, 0] * total[:, 1] * total[:, 2]
            cost = ((places - mean).square_() / total).sum(dim=(0, 1))
            costs.append(cost + volume.log().sum(dim=0))
        return torch.stack(costs).argmin(dim=0)


def learn_prior(
    points: Float[Tensor, "poses joints 3"],
    covariance: Float[Tensor, "poses joints 3 3"],
    up: Float[Tensor, "poses 3"],
    skeleton: Skeleton,
    parts: int,
    seed: int = 0,
) -> PosePrior | None:
    """Fits at most `parts` Gaussians to poses of known noise.

    k-means gives the components; a component's covariance is that of its poses minus their mean noise.

    Args:
        points: joints in metres, any places.
        covariance: of each joint, m².
        up: unit vertical of each pose's world.
        skeleton: of the joints.
        parts: number of Gaussians at most.
        seed: of k-means.

    Returns:
        The mixture; None for fewer than 500 poses with all joints known to 10 cm, or a skeleton without hips and
        shoulders."""
    across = tuple(
        (skeleton.index(left), skeleton.index(right))
        for left, right in _SIDES
        if {left, right} <= set(skeleton.joints)
    )
    # False for NaN
    precise = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1).amax(dim=-1) < 0.1**2
    count = int(precise.sum())
    if not across or min(parts, count // ENOUGH) < 1:
        return None
    points, up = points[precise].double(), up[precise].double()
    poses, _, rotation = to_body_frame(points, across, up, torch.zeros_like(points[0]))
    noise = rotation[:, None] @ covariance[precise].double() @ rotation.mT[:, None]
    part = _clusters(poses.flatten(1), min(parts, count // ENOUGH), seed)
    means, covariances = [], []
    for number in part.unique():
        mine = part == number
        if int(mine.sum()) < 2:
            continue  # one pose has no spread; it is likeliest under another part then
        mean = poses[mine].mean(dim=0)
        pose_covariance = torch.cov(poses[mine].flatten(1).mT) - torch.block_diag(*noise[mine].mean(dim=0))
        means.append(mean)
        covariances.append(_positive_definite(pose_covariance) + _free_motion(mean))
    return PosePrior(torch.stack(means).float(), torch.stack(covariances).float(), across)


def to_body_frame(
    points: Float[Tensor, "poses joints 3"],
    across: tuple[tuple[int, int], ...],
    up: Float[Tensor, "*poses 3"],
    mean: Float[Tensor, "joints 3"],
) -> tuple[Float[Tensor, "poses joints 3"], Float[Tensor, "poses 1 3"], Float[Tensor, "poses 3 3"]]:
    """Poses rotated so that left is x and the vertical is z, and centred on the known joints of `mean`.

    Args:
        points: joints; NaN: unknown.
        across: pairs of joint indices, left and right.
        up: unit vertical, one or one per pose.
        mean: pose whose joints the poses are centred on.

    Returns:
        The poses in the body frame, their places in the world and their rotations: pose = (points - place) @
            rotationᵀ."""
    side = sum(torch.nan_to_num(points[:, left] - points[:, right]) for left, right in across)
    assert isinstance(side, Tensor)
    up = up.expand_as(side)
    level = side - (side * up).sum(dim=-1, keepdim=True) * up
    other = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).to(up)
    # any direction, where no side is known
    spare = torch.where(up[:, :1].abs() < 0.9, other[0], other[1])
    spare = spare - (spare * up).sum(dim=-1, keepdim=True) * up
    x = torch.nn.functional.normalize(
        torch.where(level.norm(dim=-1, keepdim=True) > 1e-3, level, spare), dim=-1
    )
    rotation = torch.stack([x, torch.linalg.cross(up, x), up], dim=-2)
    valid = points.isfinite().all(dim=-1, keepdim=True)
    rotated = torch.where(valid, points, 0.0) @ rotation.mT
    off = torch.where(valid, rotated - mean, 0.0).sum(dim=1, keepdim=True) / valid.sum(
        dim=1, keepdim=True
    ).clamp(min=1)
    return torch.where(valid, rotated - off, torch.nan), off @ rotation, rotation


# --- inside --------------------------------------------------------------------------------------


def _posterior_of(
    gaussian: PoseFactors,
    poses: Float[Tensor, "poses joints 3"],
    covariance: Float[Tensor, "poses joints 3 3"],
    rotation: Float[Tensor, "poses 3 3"],
) -> tuple[Float[Tensor, "poses joints 3"], Float[Tensor, "poses joints 3 3"]]:
    """Posterior of poses under one Gaussian: joints still in the body frame, covariance in the world."""
    places = _last(poses)
    places = torch.where(places.isfinite(), places, gaussian.mean[..., None])
    mean, posterior = gaussian.posterior(places, _rotated_noise(covariance, rotation))
    back = _last(rotation)[None]
    posterior = product(product(back.transpose(1, 2), posterior), back)
    return _first(mean), _first((posterior + posterior.transpose(1, 2)) / 2)


def _rotated_noise(
    covariance: Float[Tensor, "poses joints 3 3"], rotation: Float[Tensor, "poses 3 3"]
) -> Float[Tensor, "joints 3 3 poses"]:
    """Noise in the body frame, bounded, with the pose axis last."""
    by = _last(rotation)[None]
    return product(product(by, _bounded(_last(covariance))), by.transpose(1, 2))


def _last(values: Float[Tensor, "poses *any"]) -> Float[Tensor, "*any poses"]:
    """A copy with the pose axis last."""
    return values.flatten(1).mT.contiguous().unflatten(0, values.shape[1:])


def _first(values: Float[Tensor, "*any poses"]) -> Float[Tensor, "poses *any"]:
    return values.flatten(0, -2).mT.contiguous().unflatten(1, values.shape[:-1])


def _bounded(noise: Float[Tensor, "joints 3 3 poses"]) -> Float[Tensor, "joints 3 3 poses"]:
    """Noise limited to a standard deviation of `_FAR`, which unknown joints get too, and kept positive definite."""
    eye = torch.eye(3).to(noise)[..., None]
    size = (noise[:, 0, 0] + noise[:, 1, 1] + noise[:, 2, 2])[:, None, None] / 3
    bounded = noise * (_FAR**2 / size).clamp(max=1)
    return torch.where(size.isfinite(), bounded, _FAR**2 * eye) + 1e-8 * eye


def _positive_definite(covariance: Tensor) -> Tensor:
    """The nearest covariance: subtracting the mean noise of few poses can leave negative eigenvalues."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp(min=1e-6)) @ vectors.mT


def _free_motion(mean: Float[Tensor, "joints 3"]) -> Float[Tensor, "numbers numbers"]:
    """Covariance of a free shift and a free rotation about the vertical."""
    shift = torch.eye(3).to(mean).repeat(len(mean), 1)
    x, y, _ = mean.unbind(-1)
    rotation = torch.stack([-y, x, torch.zeros_like(x)], dim=-1).flatten()
    return _SHIFT**2 * shift @ shift.mT + _TURN**2 * rotation[:, None] * rotation


def _clusters(rows: Float[Tensor, "rows numbers"], count: int, seed: int) -> Int[Tensor, "rows"]:
    """k-means from far-apart starts [Arthur07]."""
    generator = torch.Generator().manual_seed(seed)
    centres = rows[torch.randint(len(rows), (1,), generator=generator)]
    for _ in range(count - 1):
        nearest = torch.cdist(rows, centres).amin(dim=1).square()
        centres = torch.cat([centres, rows[torch.multinomial(nearest + 1e-12, 1, generator=generator)]])
    part = torch.cdist(rows, centres).argmin(dim=1)
    for _ in range(20):
        sums = torch.zeros_like(centres).index_add_(0, part, rows)
        sizes = torch.bincount(part, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
        part = torch.cdist(rows, centres).argmin(dim=1)
    return part
