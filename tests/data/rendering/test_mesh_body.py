from pathlib import Path

import numpy as np
import pytest
import torch

from coview.data.rendering.capsule_body import GARMENTS
from coview.data.rendering.mesh_body import MeshBody, mesh_file, read_mesh
from coview.data.rendering.scenes import generated_people
from coview.data.rendering.skinning import skinned
from coview.skeletons import H36M_17


def test_the_mesh_stands_upright_and_faces_us(makehuman: MeshBody):
    """Metres, z up; the left hand on +x and the toes before the heels, on -y."""
    at = makehuman.joints(makehuman.vertices)
    assert 1.4 < at["head_top"][2] - at["left_ankle"][2] < 2.0
    assert at["left_wrist"][0] > 0.3 > -0.3 > at["right_wrist"][0]
    foot = makehuman.weights.argmax(dim=-1) == 14
    assert makehuman.vertices[foot][:, 1].min() < at["left_ankle"][1] - 0.08


def test_weights_sum_to_one_on_the_body(makehuman: MeshBody):
    used = makehuman.triangles.unique()
    torch.testing.assert_close(makehuman.weights[used].sum(dim=-1), torch.ones(len(used)))


def test_joints_of_the_skinned_mesh_are_our_joints(makehuman: MeshBody):
    """The mesh's own joint markers, skinned: limbs agree to a millimetre, hips to 3 cm."""
    joints3d = generated_people(16, 16, seed=3).joints3d
    limbs = (("knee", "Leg"), ("ankle", "Foot"), ("shoulder", "Arm"), ("elbow", "ForeArm"), ("wrist", "Hand"))
    for seed in range(3):
        vertices = makehuman.shaped(torch.Generator().manual_seed(seed))
        placed, normals = skinned(makehuman, vertices, makehuman.normals(vertices), joints3d)
        assert normals.isfinite().all()
        for side, word in (("left", "Left"), ("right", "Right")):
            for joint, bone, allowed in (*((*limb, 0.001) for limb in limbs), ("hip", "UpLeg", 0.03)):
                marker = placed[:, makehuman.heads[f"{word}{bone}"]].mean(dim=1)
                away = (marker - joints3d[:, H36M_17.index(f"{side}_{joint}")]).norm(dim=-1)
                assert away.max() < allowed, joint


def test_shapes_differ_and_are_repeatable(makehuman: MeshBody):
    shapes = [makehuman.shaped(torch.Generator().manual_seed(seed)) for seed in (0, 1, 0)]
    assert (shapes[0] - shapes[1]).abs().max() > 0.02
    assert (shapes[0] == shapes[2]).all()


def test_triangles_turn_anticlockwise_seen_from_outside(makehuman: MeshBody):
    """The volume that the triangles enclose has the sign of that turn, and the size of a person: litres."""
    for seed in range(4):
        shape = makehuman.shaped(torch.Generator().manual_seed(seed))
        a, b, c = shape[makehuman.triangles].double().unbind(1)
        litres = 1000 / 6 * (a * torch.linalg.cross(b, c)).sum()
        assert 30 < litres < 200


def test_clothes_are_where_they_belong(makehuman: MeshBody):
    worn = makehuman.clothed()
    body = makehuman.triangles.unique()
    garment, height = worn[body, 0], makehuman.vertices[body, 2]
    assert set(garment.long().tolist()) == set(range(len(GARMENTS)))
    assert (
        height[garment == GARMENTS.index("shoe")].max() < height[garment == GARMENTS.index("trousers")].min()
    )
    assert height[garment == GARMENTS.index("shirt")].min() < height[garment == GARMENTS.index("hair")].min()


def test_a_missing_file_and_a_foreign_one_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="use body='capsules'"):
        read_mesh(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", verts=np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"lacks the array 'bone_head_vidx'"):
        read_mesh(tmp_path / "other.npz")


def test_the_file_is_looked_for_where_data_sets_lie(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    assert mesh_file(None) == tmp_path / "makehuman_cc0" / "makehuman_cmu_rig.npz"
    assert mesh_file(tmp_path / "mine.npz") == tmp_path / "mine.npz"
