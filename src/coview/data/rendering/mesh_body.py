"""A realistic body: MakeHuman's mesh (CC0) bent to the joints of H36M_17 by linear blend skinning.

Its file is not part of coview: see docs/howto/rendered_people.md. Limbs turn with the directions of our bones and
stretch to their lengths, so knees, ankles, shoulders, elbows and wrists of mesh and labels agree, and so do spine
and crown; hips are off by 15 mm on average and the tip of the nose by 49 mm (tests/data/rendering/test_mesh_body.py).
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.data.mocap.clips import data_folder
from coview.data.rendering.capsule_body import GARMENTS
from coview.errors import InputError, MissingFileError
from coview.formats.io.untrusted import read_npz

FILE = "makehuman_cmu_rig.npz"
_ARRAYS = {"verts", "faces", "bone_names", "bone_head_vidx", "w_idx", "w_val", "target_names", "targets"}
# Each bone of the file moves like one of these blocks.
_OF_LIMBS = ("collar", "arm", "forearm", "thigh", "shank", "foot")
BLOCKS = ("hips", "belly", "chest", "head", *(f"{s}_{name}" for name in _OF_LIMBS for s in ("left", "right")))
_OF_BONE = {"Hips": "hips", "LHipJoint": "hips", "RHipJoint": "hips", "LowerBack": "belly", "Spine": "belly"}
_OF_BONE |= {"Spine1": "chest", "Neck": "chest", "Neck1": "head", "Head": "head"}
_OF_SIDE = {"Shoulder": "collar", "Arm": "arm", "ForeArm": "forearm", "UpLeg": "thigh", "Leg": "shank"}
_OF_SIDE |= {"Foot": "foot", "ToeBase": "foot"}
_WORN = {
    "hips": "trousers",
    "belly": "shirt",
    "chest": "shirt",
    "head": "hair",
    "collar": "shirt",
    "foot": "shoe",
}
_WORN |= {"arm": "sleeve_upper", "forearm": "sleeve_lower", "thigh": "leg_upper", "shank": "leg_lower"}

LIMBS = {
    f"{side}_{block}": (f"{side}_{first}", f"{side}_{last}")
    for side in ("left", "right")
    for block, first, last in (
        *(("arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist")),
        *(("thigh", "hip", "knee"), ("shank", "knee", "ankle")),
    )
}


@dataclass(frozen=True, eq=False)
class MeshBody:
    """A mesh in its rest pose (metres, z up, facing -y) with skinning weights and shape targets."""

    # metres
    vertices: Float[Tensor, "vertices 3"]
    # anticlockwise seen from outside
    triangles: Int[Tensor, "triangles 3"]
    # skinning weights; each row sums to one
    weights: Float[Tensor, "vertices blocks"]
    # vertices whose mean is the joint of a bone, by the bone's name in the file
    heads: dict[str, Tensor]
    # shape targets: displacements of the vertices, metres
    targets: dict[str, Tensor]

    def shaped(self, generator: torch.Generator) -> Float[Tensor, "vertices 3"]:
        """A random person in the rest pose: sex, age, ancestry, weight and muscle.

        Args:
            generator: of the random values."""
        sex = ("female", "male")[int(torch.rand((), generator=generator) < 0.5)]
        people = ("african", "asian", "caucasian")[int(torch.randint(3, (), generator=generator))]
        heavy = ("minweight", "averageweight", "maxweight")[int(torch.randint(3, (), generator=generator))]
        strong = ("minmuscle", "averagemuscle", "maxmuscle")[int(torch.randint(3, (), generator=generator))]
        old, much = torch.rand(2, generator=generator).tolist()
        grown = self.vertices.clone()
        for age, share in (("young", 1 - old), ("old", old)):
            shares = {
                f"{people}-{sex}-{age}": 1.0,
                f"universal-{sex}-{age}-averagemuscle-averageweight": 1 - 0.7 * much,
            }
            wanted = f"universal-{sex}-{age}-{strong}-{heavy}"
            shares[wanted] = shares.get(wanted, 0.0) + 0.7 * much
            for name, part in shares.items():
                grown += share * part * self.targets[name]
        return grown

    def joints(self, vertices: Float[Tensor, "vertices 3"]) -> dict[str, Tensor]:
        """Joints of H36M_17 of a mesh in its rest pose.

        Args:
            vertices: metres."""
        head = {name: vertices[picked].mean(dim=0) for name, picked in self.heads.items()}
        found = {"spine": head["Spine"], "head_top": vertices[vertices[:, 2].argmax()]}
        for side, word in (("left", "Left"), ("right", "Right")):
            found |= {f"{side}_hip": head[f"{word}UpLeg"], f"{side}_knee": head[f"{word}Leg"]}
            found |= {f"{side}_ankle": head[f"{word}Foot"], f"{side}_shoulder": head[f"{word}Arm"]}
            found |= {f"{side}_elbow": head[f"{word}ForeArm"], f"{side}_wrist": head[f"{word}Hand"]}
        found["pelvis"] = (found["left_hip"] + found["right_hip"]) / 2
        # body.py has the thorax this far above the shoulders
        above = vertices.new_tensor([0.0, 0.0, 0.02])
        return found | {"thorax": (found["left_shoulder"] + found["right_shoulder"]) / 2 + above}

    def normals(self, vertices: Float[Tensor, "vertices 3"]) -> Float[Tensor, "vertices 3"]:
        """Unit normals of a mesh in its rest pose, pointing outward.

        Args:
            vertices: metres."""
        a, b, c = (vertices[self.triangles[:, corner]] for corner in range(3))
        face = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(vertices)
        for corner in range(3):
            total.index_add_(0, self.triangles[:, corner], face)
        return torch.nn.functional.normalize(total, dim=-1)

    def clothed(self) -> Float[Tensor, "vertices 2"]:
        """Per vertex the index in GARMENTS, and the position along its limb (0 to 1)."""
        block = self.weights.argmax(dim=-1)
        at = self.joints(self.vertices)
        garment, share = torch.zeros(len(self.vertices)), torch.zeros(len(self.vertices))
        for number, name in enumerate(BLOCKS):
            mine = block == number
            garment[mine] = GARMENTS.index(_WORN[name.split("_")[-1]])
            if name in LIMBS:
                first, last = (at[joint] for joint in LIMBS[name])
                along = (self.vertices[mine] - first) @ (last - first) / (last - first).square().sum()
                share[mine] = along
        neck, crown = at["thorax"], at["head_top"]
        up = (self.vertices[:, 2] - neck[2]) / (crown[2] - neck[2])
        bald = (block == BLOCKS.index("head")) & (
            (up < 0.45) | ((up < 0.82) & (self.vertices[:, 1] < neck[1] - 0.03))
        )
        forearm = (block == BLOCKS.index("left_forearm")) | (block == BLOCKS.index("right_forearm"))
        garment[bald | (forearm & (share > 1))] = GARMENTS.index("skin")
        return torch.stack([garment, share], dim=-1)


def mesh_file(path: Path | None) -> Path:
    """The file to read: `path`, else makehuman_cc0/makehuman_cmu_rig.npz in the folder of data sets.

    Args:
        path: given by the user."""
    return path if path is not None else data_folder(None, "makehuman_cc0") / FILE


@functools.lru_cache(maxsize=2)
def read_mesh(path: Path) -> MeshBody:
    """The mesh of a file. Cached.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: it is missing; says where to get it.
        ValueError: it holds something else."""
    if not path.is_file():
        raise MissingFileError(
            f"{path} is not there: rendered people with body='mesh' need MakeHuman's mesh, which is CC0 and no part "
            f"of coview. Put it there or name it in mesh_file (docs/howto/rendered_people.md), or use body='capsules'."
        )
    found = read_npz(path)
    if missing := sorted(_ARRAYS - found.keys()):
        raise InputError(
            f"{path} lacks the array '{missing[0]}', so it is not MakeHuman's mesh with the CMU rig."
        )
    names = [str(name) for name in found["bone_names"]]
    weights = np.zeros((len(found["verts"]), len(BLOCKS)), dtype=np.float32)
    owner = np.array([BLOCKS.index(_block(name)) for name in names])
    np.add.at(weights, (np.arange(len(weights))[:, None], owner[found["w_idx"]]), found["w_val"])
    hung = torch.from_numpy(weights)
    quads = torch.from_numpy(found["faces"]).long()
    shapes = zip(found["target_names"], found["targets"], strict=True)
    return MeshBody(
        _z_up(found["verts"]),
        torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]),
        hung / hung.sum(dim=-1, keepdim=True).clamp_min(1e-6),
        {
            name: torch.from_numpy(row[row >= 0]).long()
            for name, row in zip(names, found["bone_head_vidx"], strict=True)
        },
        {str(name): _z_up(target) for name, target in shapes},
    )


def _block(bone: str) -> str:
    if bone in _OF_BONE:
        return _OF_BONE[bone]
    side, part = (
        ("left", bone.removeprefix("Left")) if bone.startswith("L") else ("right", bone.removeprefix("Right"))
    )
    # hands and fingers go with the forearm
    return f"{side}_{_OF_SIDE.get(part, 'forearm')}"


def _z_up(decimetres: np.ndarray) -> Tensor:
    x, y, z = torch.from_numpy(decimetres.astype(np.float32) / 10).unbind(-1)
    return torch.stack([x, -z, y], dim=-1)
