import pytest
import torch

from coview.data.base import InMemory, joined
from coview.data.synthetic.recordings import ring_cameras
from coview.sample import MultiView
from coview.skeletons import CANONPOSE_16, H36M_17


def some(count: int = 5, skeleton=H36M_17, **more) -> MultiView:
    fields = {
        "joints2d": torch.arange(count * 2 * 17 * 2.0).reshape(count, 2, 17, 2),
        "rig": torch.arange(count),
        "cameras": ring_cameras(2).expand(count, 2),
    }
    return MultiView(skeleton, **(fields | more))


def test_a_batch_is_one_indexing():
    data = InMemory(some())
    batch = data[torch.tensor([3, 0, 3])]
    assert len(data) == 5
    assert batch.rig.tolist() == [3, 0, 3]
    assert torch.equal(batch.joints2d[0], data.instants.joints2d[3])
    assert batch.cameras.centres.shape == (3, 2, 3)
    assert data.fields == {"joints2d", "rig", "cameras"}


def test_batches_hold_every_instant_once():
    assert [batch.rig.tolist() for batch in InMemory(some()).batches(2)] == [[0, 1], [2, 3], [4]]


def test_hidden_fields_stay_hidden():
    data = InMemory(some()).only(frozenset({"rig"}))
    with pytest.raises(LookupError, match="joints2d"):
        _ = data[torch.tensor([0])].joints2d


def test_fields_must_count_the_same_instants():
    wrong = some()
    wrong._fields["rig"] = torch.arange(4)  # past the shape checks, which users do not run
    with pytest.raises(ValueError, match=r"different numbers of instants: .*'rig': 4"):
        InMemory(wrong)
    with pytest.raises(ValueError, match="no fields at all"):
        InMemory(MultiView(H36M_17))


def test_joined_keeps_order_and_shared_fields():
    both = joined([some(2), some(3).replaced(cameras=None)])
    assert both.rig.tolist() == [0, 1, 0, 1, 2]
    assert both.fields == {"joints2d", "rig"}
    assert joined([some(2), some(3)]).cameras.size.shape == (5, 2, 2)


def test_different_skeletons_cannot_be_joined():
    with pytest.raises(ValueError, match="canonpose_16, h36m_17"):
        joined([some(), some(skeleton=CANONPOSE_16)])


def test_images_in_bytes_stay_bytes_however_they_are_handled():
    images = torch.zeros(4, 2, 3, 8, 8, dtype=torch.uint8)
    data = InMemory(MultiView(H36M_17, images=images, rig=torch.arange(4)))
    assert data.instants.stored("images").data_ptr() == images.data_ptr()
    assert data.only(frozenset({"images"}))[torch.tensor([1, 2])].stored("images").dtype == torch.uint8
    assert joined([data[:2], data[2:]]).stored("images").dtype == torch.uint8


def test_fields_can_be_added():
    data = InMemory(some(3)).replaced(base_point=torch.ones(3, 3), rig=torch.arange(3, 6))
    assert data.fields == {"joints2d", "rig", "cameras", "base_point"}
    assert data[torch.tensor([1])].rig.tolist() == [4]
    assert not InMemory(some(3)).slow
