import torch

from coview.networks.lifter import DepthLifter, Lifter


def test_the_paper_s_number_of_parameters():
    # methods/canonpose.md §3, counted from the authors' layers: 16 joints, width 1024, axis-angle
    assert sum(p.numel() for p in Lifter(16, 1024, 3).parameters()) == 10_598_451


def test_layout_is_planar():
    """All x, then all y, then the confidences; poses come out the same way."""
    lifter, joints = Lifter(3, 8, 3), torch.tensor([[1.0, 4], [2, 5], [3, 6]])
    seen = []
    lifter.entry.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    lifter.pose.register_forward_hook(lambda *_: torch.arange(9.0))
    pose, numbers = lifter(joints, torch.tensor([7.0, 8, 9]))
    torch.testing.assert_close(seen[0], torch.arange(1.0, 10.0))
    torch.testing.assert_close(pose, torch.tensor([[0.0, 3, 6], [1, 4, 7], [2, 5, 8]]))
    assert numbers.shape == (3,)


def test_any_batch_and_number_of_joints():
    lifter = Lifter(5, 16, 6)
    pose, numbers = lifter(torch.randn(2, 3, 4, 5, 2), torch.rand(2, 3, 4, 5))
    assert pose.shape == (2, 3, 4, 5, 3)
    assert numbers.shape == (2, 3, 4, 6)


def test_mirror_negates_depth_and_chosen_numbers_exactly():
    torch.manual_seed(0)
    lifter, joints, confidence = Lifter(4, 16, 3), torch.randn(10, 4, 2), torch.rand(10, 4)
    pose, numbers = lifter(joints, confidence)
    signs = torch.tensor([-1.0, -1.0, 1.0])
    lifter.mirror(signs)
    mirrored, turned = lifter(joints, confidence)
    assert torch.equal(mirrored, pose * torch.tensor([1.0, 1.0, -1.0]))
    assert torch.equal(turned, numbers * signs)
    assert all(parameter.requires_grad for parameter in lifter.parameters())


def test_depths_are_one_per_joint_from_all_that_is_known_of_the_view():
    lifter = DepthLifter(3, 8)
    seen = []
    lifter.entry.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    joints = torch.tensor([[1.0, 4], [2, 5], [3, 6]])
    assert lifter(joints, torch.tensor([7.0, 8, 9]), torch.tensor(10.0)).shape == (3,)
    torch.testing.assert_close(seen[0], torch.arange(1.0, 11.0))
    assert lifter(joints.expand(2, 4, 3, 2), torch.ones(2, 4, 3), torch.ones(2, 4)).shape == (2, 4, 3)


def test_without_rotation_numbers_there_is_the_pose_alone():
    lifter = Lifter(3, 8, rotation_numbers=0)
    pose, rotation = lifter(torch.randn(5, 3, 2), torch.ones(5, 3))
    assert pose.shape == (5, 3, 3)
    assert rotation.shape == (5, 0)
    assert not any("rotation" in name for name, _ in lifter.named_parameters())
    lifter.mirror(torch.ones(0))
    mirrored, _ = lifter(torch.ones(1, 3, 2), torch.ones(1, 3))
    lifter.mirror(torch.ones(0))
    torch.testing.assert_close(
        lifter(torch.ones(1, 3, 2), torch.ones(1, 3))[0] * torch.tensor([1.0, 1.0, -1.0]), mirrored
    )
