import torch

from coview.body.anthropometry import Body, limits, pose
from coview.data.rendering.mesh_body import BLOCKS, LIMBS, MeshBody
from coview.data.rendering.scenes import generated_people
from coview.data.rendering.skinning import _swing, block_maps, skinned
from coview.skeletons import H36M_17


def rest() -> dict[str, torch.Tensor]:
    """Somebody at rest, facing -y, pelvis at the origin."""
    angles = limits()[1]
    body = Body.make(1.7, torch.Generator().manual_seed(0), variety=0.0)
    joints = pose(body, angles, torch.tensor(-torch.pi / 2), torch.zeros(2))
    joints = joints - joints[0]
    return {name: joints[index] for index, name in enumerate(H36M_17.joints) if name != "nose"}


def test_limbs_arrive_at_the_joints_exactly():
    """Each limb's map brings both of its ends, as they are at rest, to where the person's joints are."""
    at_rest = rest()
    joints3d = generated_people(60, 6, seed=0).joints3d
    _, linear, shift = block_maps(at_rest, joints3d)
    for name, ends in LIMBS.items():
        block = BLOCKS.index(name)
        for joint in ends:
            brought = linear[:, block] @ at_rest[joint] + shift[:, block]
            torch.testing.assert_close(brought, joints3d[:, H36M_17.index(joint)], atol=1e-4, rtol=0)


def test_the_trunk_arrives_too():
    at_rest = rest()
    joints3d = generated_people(60, 6, seed=0).joints3d
    _, linear, shift = block_maps(at_rest, joints3d)
    for name, joint in (("hips", "pelvis"), ("belly", "spine"), ("chest", "thorax"), ("head", "head_top")):
        block = BLOCKS.index(name)
        brought = linear[:, block] @ at_rest[joint] + shift[:, block]
        torch.testing.assert_close(brought, joints3d[:, H36M_17.index(joint)], atol=1e-4, rtol=0)


def test_turns_are_rotations():
    turn, _, _ = block_maps(rest(), generated_people(60, 6, seed=0).joints3d)
    eye = torch.eye(3).expand_as(turn)
    torch.testing.assert_close(turn @ turn.mT, eye, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(turn.shape[:2]), atol=1e-4, rtol=0)


def test_the_front_stays_in_front():
    """The head's rest front, -y, turns to the side of the nose."""
    joints3d = generated_people(60, 6, seed=0).joints3d
    turn, _, _ = block_maps(rest(), joints3d)
    front = turn[:, BLOCKS.index("head")] @ torch.tensor([0.0, -1.0, 0.0])
    nose = joints3d[:, H36M_17.index("nose")] - joints3d[:, H36M_17.index("thorax")]
    assert ((front * nose).sum(dim=-1) > 0.05).all()


def test_a_swing_brings_one_direction_to_the_other_and_opposite_ones_give_no_nan():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.nn.functional.normalize(torch.randn(2, 50, 3, generator=generator), dim=-1)
    torch.testing.assert_close((_swing(one, other) @ one[..., None])[..., 0], other, atol=1e-3, rtol=0)
    assert _swing(one, -one).isfinite().all()


def test_skinning_is_the_weighted_mean_of_what_the_blocks_do():
    """The textbook twin: vertex by vertex, block by block."""
    generator = torch.Generator().manual_seed(0)
    vertices = torch.randn(9, 3, generator=generator)
    weights = torch.rand(9, len(BLOCKS), generator=generator)
    at_rest = rest()

    class Still(MeshBody):
        def joints(self, vertices: torch.Tensor) -> dict[str, torch.Tensor]:
            return at_rest

    body = Still(
        vertices, torch.zeros(1, 3, dtype=torch.long), weights / weights.sum(-1, keepdim=True), {}, {}
    )
    joints3d = generated_people(3, 3, seed=0).joints3d
    placed, normals = skinned(body, vertices, vertices, joints3d)
    turn, linear, shift = block_maps(at_rest, joints3d)
    for scene in range(3):
        for vertex in range(9):
            share = body.weights[vertex]
            moved = [linear[scene, b] @ vertices[vertex] + shift[scene, b] for b in range(len(BLOCKS))]
            turned = [turn[scene, b] @ vertices[vertex] for b in range(len(BLOCKS))]
            torch.testing.assert_close(
                placed[scene, vertex], share @ torch.stack(moved), atol=1e-4, rtol=1e-4
            )
            torch.testing.assert_close(
                normals[scene, vertex], share @ torch.stack(turned), atol=1e-4, rtol=1e-4
            )
