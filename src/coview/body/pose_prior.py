"""Which poses people take, learnt from reconstructed poses themselves, and what that says of each of them.

Triangulation treats every joint alone. Together the joints of many poses say more: which way limbs bend, how
long bones are. The poses' distribution is a mixture of Gaussians seen through noise whose covariance is known for
every joint, so that the noise can be taken out of it [Bovy11], and a pose's most probable place given both its
own sightings and all other poses follows in closed form (empirical Bayes). Nothing but the poses is used.
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
# metres, radians: a Gaussian says nothing of where a pose is and which way it faces
_SHIFT, _TURN = 0.1, 0.1
# metres: a joint less sure than this is as good as unseen
_FAR = 1.0
# m²: tells no Gaussian from another, and its cube is still a float32
_UNSEEN = 1e12
# poses that are sorted by their Gaussian
_BLOCK = 8192
# of one Gaussian: what a processor's cache holds
_TOGETHER = 512
_SIDES = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))


@dataclass(frozen=True)
class PosePrior:
    """Gaussians of poses that stand at the origin and face one way; metres."""

    means: Float[Tensor, "parts joints 3"]
    # covariance, numbers = joints × 3
    covariances: Float[Tensor, "parts numbers numbers"]
    # pairs of joints, left and right, that tell which way a pose faces
    across: tuple[tuple[int, int], ...]

    def posterior(
        self,
        points: Float[Tensor, "poses joints 3"],
        covariance: Float[Tensor, "poses joints 3 3"],
        up: Float[Tensor, "3"],
    ) -> tuple[Float[Tensor, "poses joints 3"], Float[Tensor, "poses joints 3 3"]]:
        """The poses' mean and each joint's covariance, given the sightings and the Gaussian they fit best.

        With noise B and spread S of a pose y around μ: y - B (S + B)⁻¹ (y - μ) and B - B (S + B)⁻¹ B
        [Bovy11 eq. 8, 9], S as `PoseFactors` has it. float32. NaN stays NaN. `up` is a unit vector."""
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
        """The Gaussian under which each pose is likeliest, its joints taken one by one."""
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
    """At most `parts` Gaussians from poses (metres, any places) with known noise; None where that says too little.

    Too little: fewer than 500 poses with all joints known to better than 10 cm, or a skeleton without
    hips and shoulders. k-means finds the parts, a part's spread is its poses' less the mean noise."""
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
    """The poses with left towards x, `up` towards z, and their known joints centred on those of `mean`.

    Also where each one stood and its turn: pose = (points - middle) @ turnᵀ."""
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
    """Poses under one Gaussian, still facing its way, and their covariance in the world."""
    places = _last(poses)
    places = torch.where(places.isfinite(), places, gaussian.mean[..., None])
    mean, posterior = gaussian.posterior(places, _rotated_noise(covariance, rotation))
    back = _last(rotation)[None]
    posterior = product(product(back.transpose(1, 2), posterior), back)
    return _first(mean), _first((posterior + posterior.transpose(1, 2)) / 2)


def _rotated_noise(
    covariance: Float[Tensor, "poses joints 3 3"], rotation: Float[Tensor, "poses 3 3"]
) -> Float[Tensor, "joints 3 3 poses"]:
    """Bounded, in the turned frame, poses last."""
    by = _last(rotation)[None]
    return product(product(by, _bounded(_last(covariance))), by.transpose(1, 2))


def _last(values: Float[Tensor, "poses *any"]) -> Float[Tensor, "*any poses"]:
    """A copy with the poses last."""
    return values.flatten(1).mT.contiguous().unflatten(0, values.shape[1:])


def _first(values: Float[Tensor, "*any poses"]) -> Float[Tensor, "poses *any"]:
    return values.flatten(0, -2).mT.contiguous().unflatten(1, values.shape[:-1])


def _bounded(noise: Float[Tensor, "joints 3 3 poses"]) -> Float[Tensor, "joints 3 3 poses"]:
    """Noise no larger than `_FAR`, which unknown joints get too, and not zero."""
    eye = torch.eye(3).to(noise)[..., None]
    size = (noise[:, 0, 0] + noise[:, 1, 1] + noise[:, 2, 2])[:, None, None] / 3
    bounded = noise * (_FAR**2 / size).clamp(max=1)
    return torch.where(size.isfinite(), bounded, _FAR**2 * eye) + 1e-8 * eye


def _positive_definite(covariance: Tensor) -> Tensor:
    """The nearest covariance: noise that was taken out of few poses leaves negative variances."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp(min=1e-6)) @ vectors.mT


def _free_motion(mean: Float[Tensor, "joints 3"]) -> Float[Tensor, "numbers numbers"]:
    """What lets a pose stand elsewhere and turn around the vertical."""
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
