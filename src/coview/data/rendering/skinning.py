"""Linear blend skinning of a mesh to joints: one affine map per block of the body, blended per vertex."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from coview.data.rendering.mesh_body import BLOCKS, LIMBS, MeshBody
from coview.skeletons import H36M_17


def skinned(
    body: MeshBody,
    vertices: Float[Tensor, "vertices 3"],
    normals: Float[Tensor, "vertices 3"],
    joints3d: Float[Tensor, "scenes joints 3"],
) -> tuple[Float[Tensor, "scenes vertices 3"], Float[Tensor, "scenes vertices 3"]]:
    """Vertices and normals of a mesh in the poses of H36M_17, by linear blend skinning.

    Args:
        body: weights of the mesh.
        vertices: of the shaped mesh in its rest pose, metres.
        normals: of these vertices.
        joints3d: metres, world.

    Returns:
        Vertices in metres, world; normals of any length."""
    rotation, linear, shift = block_maps(body.joints(vertices), joints3d)
    # scenes, blocks, 7 rows, 3
    maps = torch.cat([linear.mT, shift[..., None, :], rotation.mT], dim=-2)
    blended = (body.weights @ maps.flatten(2)).unflatten(-1, (7, 3))
    placed = (vertices[..., None] * blended[..., :3, :]).sum(dim=-2) + blended[..., 3, :]
    return placed, (normals[..., None] * blended[..., 4:, :]).sum(dim=-2)


def block_maps(
    rest: dict[str, Tensor], joints3d: Float[Tensor, "scenes joints 3"]
) -> tuple[
    Float[Tensor, "scenes blocks 3 3"], Float[Tensor, "scenes blocks 3 3"], Float[Tensor, "scenes blocks 3"]
]:
    """Rotation, linear part (rotation and stretch) and translation of each block, from the rest pose to the world.

    Args:
        rest: joints of the mesh in its rest pose, z up and facing -y.
        joints3d: metres, world."""
    at = {name: joints3d[:, index] for index, name in enumerate(H36M_17.joints)}
    size = _legs(at) / _legs(rest)
    maps = _trunk(rest, at, size)
    for side in ("left", "right"):
        maps |= _limbs(rest, at, size, side, maps)
    columns = zip(*(maps[name] for name in BLOCKS), strict=True)
    rotation, linear, shift = (torch.stack(column, dim=1) for column in columns)
    return rotation, linear, shift


_Maps = dict[str, tuple[Tensor, Tensor, Tensor]]


def _trunk(rest: dict[str, Tensor], at: dict[str, Tensor], size: Tensor) -> _Maps:
    hips, shoulders = _left(at, "hip"), _left(at, "shoulder")
    rest_left = rest["pelvis"].new_tensor([1.0, 0.0, 0.0])
    rest_front = rest["pelvis"].new_tensor([0.0, -1.0, 0.0])
    wanted = {
        "hips": ("pelvis", "pelvis", "spine", hips),
        "belly": ("spine", "pelvis", "thorax", normalize(hips + shoulders, dim=-1)),
        "chest": ("thorax", "spine", "thorax", shoulders),
    }
    maps = {}
    for name, (anchor, low, high, left) in wanted.items():
        axis, rest_axis = at[high] - at[low], rest[high] - rest[low]
        rotation = _frame(axis, left) @ _frame(rest_axis, rest_left).mT
        maps[name] = _anchored(rotation, rest, at, anchor, rest_axis, axis, size)
    axis, rest_axis = at["head_top"] - at["thorax"], rest["head_top"] - rest["thorax"]
    rotation = _frame(axis, at["nose"] - at["thorax"]) @ _frame(rest_axis, rest_front).mT
    return maps | {"head": _anchored(rotation, rest, at, "thorax", rest_axis, axis, size)}


def _limbs(rest: dict[str, Tensor], at: dict[str, Tensor], size: Tensor, side: str, maps: _Maps) -> _Maps:
    """Each bone is carried by its parent and then rotated to its direction by the smallest rotation."""
    found: _Maps = {}
    collar = maps["chest"][0]
    spare = rest["spine"] - rest["pelvis"]
    found[f"{side}_collar"] = _anchored(collar, rest, at, f"{side}_shoulder", spare, None, size)
    for name, parent in (("arm", "collar"), ("forearm", "arm"), ("thigh", "hips"), ("shank", "thigh")):
        carried = maps["hips"][0] if parent == "hips" else found[f"{side}_{parent}"][0]
        first, last = LIMBS[f"{side}_{name}"]
        axis, rest_axis = at[last] - at[first], rest[last] - rest[first]
        rotation = _swing(carried @ normalize(rest_axis, dim=0), normalize(axis, dim=-1)) @ carried
        found[f"{side}_{name}"] = _anchored(rotation, rest, at, first, rest_axis, axis, size)
    knee, ankle = f"{side}_knee", f"{side}_ankle"
    rest_shank, rest_left = rest[ankle] - rest[knee], rest["pelvis"].new_tensor([1.0, 0.0, 0.0])
    rotation = _frame(at[ankle] - at[knee], _left(at, "hip")) @ _frame(rest_shank, rest_left).mT
    found[f"{side}_foot"] = _anchored(rotation, rest, at, ankle, rest_shank, None, size)
    return found


def _anchored(
    rotation: Tensor,
    rest: dict[str, Tensor],
    at: dict[str, Tensor],
    anchor: str,
    rest_axis: Tensor,
    axis: Tensor | None,
    size: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation, linear part and translation that map `anchor` to its joint, stretched along the axis to fit."""
    along = normalize(rest_axis, dim=0)
    length = size if axis is None else axis.norm(dim=-1) / rest_axis.norm()
    stretch = size[:, None, None] * torch.eye(3) + (length - size)[:, None, None] * torch.outer(along, along)
    linear = rotation @ stretch
    return rotation, linear, at[anchor] - linear @ rest[anchor]


def _frame(axis: Tensor, hint: Tensor) -> Tensor:
    """Columns: the axis, the part of `hint` at right angles to it, their cross product."""
    first = normalize(axis, dim=-1)
    second = normalize(hint - (hint * first).sum(dim=-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def _swing(one: Tensor, other: Tensor) -> Tensor:
    """The smallest rotation from unit vectors to others; half a turn about any axis where they are opposite."""
    axis, cosine = torch.linalg.cross(one, other), (one * other).sum(dim=-1)
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3) + skew + skew @ skew / (1 + cosine).clamp_min(1e-4)[..., None, None]


def _left(at: dict[str, Tensor], joint: str) -> Tensor:
    return normalize(at[f"left_{joint}"] - at[f"right_{joint}"], dim=-1)


def _legs(at: dict[str, Tensor]) -> Tensor:
    pairs = (("hip", "knee"), ("knee", "ankle"))
    return torch.stack(
        [(at[f"{s}_{a}"] - at[f"{s}_{b}"]).norm(dim=-1) for s in ("left", "right") for a, b in pairs]
    ).sum(dim=0)
