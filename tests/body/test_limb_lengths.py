import pytest
import torch

from coview.body.limb_lengths import LimbLengths, scale_of
from coview.skeletons import COCO_17, COCO_19, H36M_17


def test_a_template_is_sized_exactly():
    """T2: a skeleton with the mean limbs, of unknown size, comes out in metres."""
    limbs = LimbLengths().of(H36M_17)
    means = torch.tensor(limbs.lengths)
    for unit in (1.0, 0.4852, 37.0):
        assert scale_of(means / unit, means) == pytest.approx(unit, rel=1e-6)


def test_reference_value():
    # By hand: lengths 1 and 2 for means 2 and 2: (1·2 + 2·2) / (1 + 4)
    assert scale_of(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0])) == pytest.approx(6 / 5)


def test_limbs_without_weight_have_no_say_and_none_at_all_is_not_known():
    means = torch.tensor([1.0, 1.0])
    lengths = torch.tensor([[0.5, 9.0], [0.5, 9.0]], requires_grad=True)
    found = scale_of(lengths, means, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert found[0].item() == pytest.approx(2.0)
    assert found[1].isnan()
    found[0].backward()
    assert lengths.grad.isfinite().all()


def test_limbs_are_of_both_sides_the_torso_first_and_only_what_the_skeleton_has():
    limbs = LimbLengths().of(H36M_17)
    assert len(limbs.lengths) == 15
    assert (limbs.starts[0], limbs.ends[0]) == (H36M_17.index("pelvis"), H36M_17.index("thorax"))
    assert limbs.in_torsos(torch.zeros(()))[0] == 1
    assert len(LimbLengths(head=0.0).of(H36M_17).lengths) == 14
    other = LimbLengths().of(COCO_19)
    assert (other.starts[0], other.ends[0]) == (COCO_19.index("pelvis"), COCO_19.index("neck"))
    assert len(other.lengths) == 14  # no head top


def test_vectors_and_weights_follow_both_ends():
    limbs = LimbLengths().of(H36M_17)
    points = torch.randn(2, 17, 3)
    torch.testing.assert_close(limbs.vectors(points)[:, 0], points[:, 8] - points[:, 0])
    weights = torch.rand(2, 17)
    torch.testing.assert_close(limbs.both(weights)[:, 0], weights[:, 8] * weights[:, 0])


def test_what_is_wrong_with_a_table_is_said():
    with pytest.raises(
        ValueError, match=r"thigh is a length in metres, 0 to below 1 \(not millimetres\), got 449"
    ):
        LimbLengths(thigh=449.4)
    with pytest.raises(ValueError, match="torso is 0"):
        LimbLengths(torso=0.0)
    with pytest.raises(ValueError, match=r"'coco_17' has no torso"):
        LimbLengths().of(COCO_17)
