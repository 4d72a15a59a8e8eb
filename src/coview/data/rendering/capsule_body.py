"""A clothed body of tapered capsules and ellipsoids around the joints of H36M_17."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from coview.skeletons import H36M_17

# Which cloth each part wears. Left and right wear the same.
GARMENTS = (
    "skin",
    "hair",
    "shirt",
    "sleeve_upper",
    "sleeve_lower",
    "trousers",
    "leg_upper",
    "leg_lower",
    "shoe",
)


@dataclass(frozen=True)
class CapsuleBody:
    """Tapered capsules and ellipsoids of bodies: metres, world; leading axes are those of the joints."""

    # first end of each part
    first: Float[Tensor, "*batch parts 3"]
    # second end of each part
    second: Float[Tensor, "*batch parts 3"]
    # direction of the first radius of each end
    side: Float[Tensor, "*batch parts 3"]
    # side and front radius at the first end, then at the second
    radii: Float[Tensor, "*batch parts 4"]
    # length of the rounding of each end
    caps: Float[Tensor, "*batch parts 2"]
    # one of GARMENTS per part
    garments: tuple[str, ...]
    # index of the part with the face
    head: int


def body_capsules(
    joints3d: Float[Tensor, "*batch joints 3"], girth: Float[Tensor, "*batch 3"]
) -> CapsuleBody:
    """A clothed body around joints of H36M_17.

    Thickness is proportional to the length of thigh and shank. Front and left follow from hips and shoulders, the face
    from the nose.

    Args:
        joints3d: metres, world.
        girth: factor on the thickness of trunk, arms and legs; 1: lean adult."""
    at = {name: joints3d[..., index, :] for index, name in enumerate(H36M_17.joints)}
    size = (_length(at, "left_hip", "left_knee") + _length(at, "left_knee", "left_ankle")) / (0.491 * 1.75)
    builder = _Builder(size, girth)
    _trunk(builder, at)
    _head(builder, at)
    for which in ("left", "right"):
        _arm(builder, at, which)
        _leg(builder, at, which)
    return builder.done()


class _Builder:
    """Collects parts; lengths are those of a person of 1.75 m and are scaled by `size`."""

    def __init__(self, size: Tensor, girth: Tensor) -> None:
        self.size, self.girth = size[..., None], girth
        self.rows: list[tuple[Tensor, ...]] = []
        self.garments: list[str] = []
        self.head = 0

    def add(
        self,
        garment: str,
        ends: tuple[Tensor, Tensor],
        side: Tensor,
        radii: tuple[float, ...],
        *,
        caps: tuple[float, float] | None = None,
        # 0 trunk, 1 arms, 2 legs
        stout: int | None = None,
    ) -> None:
        widths = radii if len(radii) == 4 else (radii[0], radii[0], radii[1], radii[1])
        bulge = caps or (min(widths[:2]), min(widths[2:]))
        scale = self.size if stout is None else self.size * self.girth[..., stout, None]
        self.rows.append(
            (*ends, side, ends[0].new_tensor(widths) * scale, ends[0].new_tensor(bulge) * self.size)
        )
        self.garments.append(garment)

    def done(self) -> CapsuleBody:
        first, second, side, radii, caps = (
            torch.stack(column, dim=-2) for column in zip(*self.rows, strict=True)
        )
        return CapsuleBody(first, second, side, radii, caps, tuple(self.garments), self.head)


def _trunk(builder: _Builder, at: dict[str, Tensor]) -> None:
    hips = normalize(at["left_hip"] - at["right_hip"], dim=-1)
    shoulders = normalize(at["left_shoulder"] - at["right_shoulder"], dim=-1)
    pelvis, spine, thorax = at["pelvis"], at["spine"], at["thorax"]
    waist = torch.lerp(pelvis, spine, 0.35)
    chest = torch.lerp(spine, thorax, 0.8)
    builder.add(
        "trousers", (torch.lerp(pelvis, spine, -0.15), waist), hips, (0.155, 0.115, 0.15, 0.11), stout=0
    )
    builder.add("shirt", (waist, spine), hips, (0.148, 0.108, 0.145, 0.105), stout=0)
    builder.add("shirt", (spine, chest), shoulders, (0.145, 0.105, 0.155, 0.105), caps=(0.08, 0.07), stout=0)
    for which in ("left", "right"):
        inner = torch.lerp(chest, thorax, 0.5)
        builder.add("shirt", (inner, at[f"{which}_shoulder"]), thorax - spine, (0.075, 0.057), stout=1)


def _head(builder: _Builder, at: dict[str, Tensor]) -> None:
    thorax, crown, nose = at["thorax"], at["head_top"], at["nose"]
    up = normalize(crown - thorax, dim=-1)
    forward = nose - thorax
    forward = normalize(forward - (forward * up).sum(dim=-1, keepdim=True) * up, dim=-1)
    left = torch.linalg.cross(up, forward)
    middle = crown - 0.118 * builder.size * up
    builder.add("skin", (thorax, middle), left, (0.058, 0.05))
    builder.head = len(builder.rows)
    step = 0.002 * up
    builder.add("hair", (middle - step, middle + step), left, (0.08, 0.095, 0.08, 0.095), caps=(0.12, 0.116))
    tip = torch.lerp(middle, nose, 0.95)
    builder.add("skin", (tip - step, tip + step), left, (0.015, 0.02, 0.013, 0.012), caps=(0.02, 0.03))


def _arm(builder: _Builder, at: dict[str, Tensor], which: str) -> None:
    shoulder, elbow, wrist = (at[f"{which}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    side = _across(shoulder, elbow, wrist)
    reach = normalize(wrist - elbow, dim=-1) * builder.size
    builder.add("sleeve_upper", (shoulder, elbow), side, (0.052, 0.041), stout=1)
    builder.add("sleeve_lower", (elbow, wrist), side, (0.04, 0.028), stout=1)
    builder.add(
        "skin",
        (wrist + 0.03 * reach, wrist + 0.11 * reach),
        side,
        (0.02, 0.036, 0.014, 0.034),
        caps=(0.03, 0.05),
    )


def _leg(builder: _Builder, at: dict[str, Tensor], which: str) -> None:
    hip, knee, ankle = (at[f"{which}_{name}"] for name in ("hip", "knee", "ankle"))
    left = normalize(at["left_hip"] - at["right_hip"], dim=-1)
    down = normalize(ankle - knee, dim=-1)
    forward = torch.linalg.cross(down, left)
    forward = normalize(forward, dim=-1) * builder.size
    down = down * builder.size
    builder.add("leg_upper", (hip, knee), left, (0.082, 0.058), stout=2)
    builder.add("leg_lower", (knee, ankle), left, (0.057, 0.037), stout=2)
    heel, toe = ankle - 0.035 * forward + 0.03 * down, ankle + 0.14 * forward + 0.042 * down
    builder.add("shoe", (heel, toe), left, (0.04, 0.04, 0.043, 0.026), caps=(0.035, 0.045))


def _across(first: Tensor, middle: Tensor, last: Tensor) -> Tensor:
    """Flexion axis of a limb, at right angles to it; any where the limb is straight."""
    upper, lower = normalize(middle - first, dim=-1), normalize(last - middle, dim=-1)
    axis = torch.linalg.cross(upper, lower)
    spare = torch.linalg.cross(lower, lower.roll(1, dims=-1) + 0.3)
    return normalize(torch.where(axis.norm(dim=-1, keepdim=True) > 0.05, axis, spare), dim=-1)


def _length(at: dict[str, Tensor], first: str, second: str) -> Tensor:
    return (at[first] - at[second]).norm(dim=-1)
