import torch

from coview.methods.shared.lifted import LiftedPoses, LifterInput, flattened


def lifted(*batch: int) -> LiftedPoses:
    seen = LifterInput(
        joints=torch.rand(*batch, 4, 17, 2),
        confidence=torch.rand(*batch, 4, 17),
        ray_from_camera=torch.rand(*batch, 4, 3, 3),
    )
    pose, rotation = torch.rand(*batch, 4, 17, 3), torch.rand(*batch, 4, 3, 3)
    return LiftedPoses(joints3d=pose, canonical=pose, ray_from_canonical=rotation, observed=seen)


def test_any_batch_becomes_one_axis():
    for batch, count in (((), 1), ((5,), 5), ((2, 3), 6)):
        one = flattened(lifted(*batch))
        assert one.canonical.shape == (count, 4, 17, 3)
        assert one.ray_from_canonical.shape == (count, 4, 3, 3)
        assert one.observed.confidence.shape == (count, 4, 17)


def test_order_and_values_stay():
    before = lifted(2, 3)
    after = flattened(before)
    assert torch.equal(after.joints3d[4], before.joints3d[1, 1])
    assert torch.equal(after.observed.joints[5], before.observed.joints[1, 2])
