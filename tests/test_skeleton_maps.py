"""What a skeleton refuses, and how one maps to another."""

import pytest
import torch

from coview.skeletons import (
    COCO_17,
    COCO_19,
    H36M_17,
    SKELETONS,
    Skeleton,
    can_map,
    skeleton_map,
)

every_skeleton = pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
every_pair = pytest.mark.parametrize(
    ("source", "target"),
    [(source, target) for source in SKELETONS for target in SKELETONS if can_map(source, target)],
    ids=lambda skeleton: skeleton.name,
)


def small(name: str, joints: str, **options) -> Skeleton:
    names = tuple(joints.split())
    return Skeleton(name, names, options.pop("bones", ()), names[0], **options)


# --- maps -----------------------------------------------------------------------------------------


@every_pair
def test_maps_average_and_say_where(source, target):
    found = skeleton_map(source, target)
    matrix = found.matrix()
    assert matrix.shape == (len(target), len(source))
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(len(target)))
    assert (matrix >= 0).all()
    for joint, computed, row in zip(target.joints, found.computed, matrix, strict=True):
        assert computed == (joint not in source.joints)
        assert computed or row[source.index(joint)] == 1
    joints = torch.randn(2, 3, len(source), 2)
    torch.testing.assert_close(found.apply(joints), matrix @ joints)


@every_pair
def test_mapping_and_mirroring_commute(source, target):
    found = skeleton_map(source, target)
    joints = torch.randn(len(source), 3)
    mirrored_first = found.apply(joints[list(source.mirror)])
    torch.testing.assert_close(mirrored_first, found.apply(joints)[list(target.mirror)])


@every_skeleton
def test_the_map_to_itself_is_the_identity(skeleton):
    torch.testing.assert_close(skeleton_map(skeleton, skeleton).matrix(), torch.eye(len(skeleton)))


def test_a_pelvis_is_the_middle_of_the_hips():
    found = skeleton_map(COCO_17, COCO_19)
    joints = torch.randn(17, 2)
    mapped = found.apply(joints)
    hips = joints[[COCO_17.index("left_hip"), COCO_17.index("right_hip")]]
    torch.testing.assert_close(mapped[COCO_19.index("pelvis")], hips.mean(dim=0))
    assert [joint for joint, made in zip(COCO_19.joints, found.computed, strict=True) if made] == [
        "pelvis",
        "neck",
    ]


def test_means_of_means_have_shares():
    # By hand: a spine without pelvis and neck is half way between hip and shoulder mid-points: four quarters.
    found = skeleton_map(COCO_17, small("trunk", "spine"))
    shares = {COCO_17.joints[joint]: share for joint, share in found.weights[0]}
    assert shares == dict.fromkeys(("left_hip", "right_hip", "left_shoulder", "right_shoulder"), 0.25)
    assert found.computed == (True,)


def test_only_what_is_needed_spoils_a_joint():
    found = skeleton_map(COCO_17, COCO_19)
    joints, confidence = torch.zeros(17, 2), torch.full((17,), 0.9)
    joints[COCO_17.index("left_hip")] = torch.nan
    confidence[COCO_17.index("left_hip")] = 0.0
    confidence[COCO_17.index("right_shoulder")] = 0.4
    unknown = found.apply(joints).isnan().any(dim=-1)
    assert [joint for joint, lost in zip(COCO_19.joints, unknown, strict=True) if lost] == [
        "left_hip",
        "pelvis",
    ]
    sure = dict(zip(COCO_19.joints, found.confidence(confidence).tolist(), strict=True))
    assert sure["pelvis"] == 0  # as sure as the least sure part
    assert sure["neck"] == pytest.approx(0.4)
    assert sure["nose"] == pytest.approx(0.9)


def test_gradients_pass_through_maps():
    joints = torch.randn(17, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(skeleton_map(COCO_17, COCO_19).apply, joints)


# --- messages -------------------------------------------------------------------------------------


def test_a_joint_it_has_not_is_named_with_those_it_has():
    with pytest.raises(LookupError, match=r"'coco_17' has no joint 'pelvis'\. Known joints: nose, left_eye"):
        COCO_17.index("pelvis")


def test_a_map_that_cannot_be_names_what_is_missing():
    assert not can_map(COCO_17, H36M_17)
    with pytest.raises(
        LookupError, match=r"no map from skeleton 'coco_17' to 'h36m_17': .* head_top\. Choose"
    ):
        skeleton_map(COCO_17, H36M_17)


def test_a_partial_map_leaves_absent_what_cannot_be_had():
    mapped = skeleton_map(COCO_17, H36M_17, partial=True)
    assert mapped.absent == ("head_top",)
    head = H36M_17.index("head_top")
    points = mapped.apply(torch.rand(3, 17, 2))
    assert points.isnan().any(dim=-1).nonzero()[:, 1].tolist() == [head] * 3
    assert (mapped.confidence(torch.ones(3, 17)) == 0).nonzero()[:, 1].tolist() == [head] * 3
    assert mapped.matrix().sum(dim=1).tolist() == [float(joint != head) for joint in range(17)]
    whole = skeleton_map(COCO_19, COCO_17)
    assert skeleton_map(COCO_19, COCO_17, partial=True) == whole
    assert whole.absent == ()
    foreign = Skeleton("foreign", ("tail", "fin"), (("tail", "fin"),), "tail")
    with pytest.raises(LookupError, match="nothing there stands for tail, fin"):
        skeleton_map(COCO_17, foreign, partial=True)


def test_joints_named_twice_are_refused():
    with pytest.raises(ValueError, match=r"'two': joints named twice: \['hand'\]"):
        small("two", "hand foot hand")


def test_bones_between_unknown_joints_are_refused():
    with pytest.raises(ValueError, match=r"'loose': .* does not have: \['tail'\]\. Known joints: hand, foot"):
        small("loose", "hand foot", bones=(("hand", "tail"),))
