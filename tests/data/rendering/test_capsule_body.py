import torch

from coview.data.rendering.capsule_body import GARMENTS, body_capsules
from coview.data.rendering.scenes import generated_people
from coview.skeletons import H36M_17


def bodies():
    people = generated_people(40, 4, seed=0)
    return people.joints3d, body_capsules(people.joints3d, people.girth)


def test_parts_have_garments_and_one_of_them_is_the_head():
    _, body = bodies()
    assert body.first.shape == (40, len(body.garments), 3)
    assert set(body.garments) <= set(GARMENTS)
    assert body.garments[body.head] == "hair"
    assert all(
        torch.isfinite(part).all() for part in (body.first, body.second, body.side, body.radii, body.caps)
    )
    assert body.radii.min() > 0


def test_every_limb_joint_is_the_end_of_a_part():
    joints3d, body = bodies()
    ends = torch.cat([body.first, body.second], dim=1)
    for name in ("hip", "knee", "shoulder", "elbow", "wrist"):
        for side in ("left", "right"):
            at = joints3d[:, H36M_17.index(f"{side}_{name}"), None]
            assert (ends - at).norm(dim=-1).amin(dim=1).max() < 0.05


def test_sides_are_not_parallel_to_the_axes():
    _, body = bodies()
    along = torch.nn.functional.normalize(body.second - body.first, dim=-1)
    side = torch.nn.functional.normalize(body.side, dim=-1)
    assert (along * side).sum(dim=-1).abs().max() < 0.98


def test_the_face_looks_where_the_nose_is():
    """The front of the head, side × axis, points from the neck to the nose."""
    joints3d, body = bodies()
    axis = body.second[:, body.head] - body.first[:, body.head]
    front = torch.linalg.cross(body.side[:, body.head], axis)
    nose = joints3d[:, H36M_17.index("nose")] - joints3d[:, H36M_17.index("thorax")]
    assert ((front * nose).sum(dim=-1) > 0).all()


def test_a_mirrored_person_has_a_mirrored_body():
    joints3d, _ = bodies()
    flip = torch.tensor([-1.0, 1.0, 1.0])
    girth = torch.ones(40, 3)
    body = body_capsules(joints3d, girth)
    mirrored = body_capsules((joints3d * flip)[:, list(H36M_17.mirror)], girth)
    middle = (body.first + body.second) / 2 * flip
    other = (mirrored.first + mirrored.second) / 2
    assert torch.cdist(middle, other).amin(dim=-1).max() < 1e-4


def test_girth_thickens_what_it_names():
    joints3d, _ = bodies()
    lean, stout = (
        body_capsules(joints3d, torch.ones(40, 3)),
        body_capsules(joints3d, torch.tensor([1.5, 1.0, 1.0]).expand(40, 3)),
    )
    ratio = (stout.radii / lean.radii)[0, :, 0]
    trunk = torch.tensor([name in ("trousers", "shirt") for name in stout.garments])
    assert (ratio[~trunk] == 1).all()
    assert (ratio[trunk] > 1.4).sum() == 3
