import pytest
import torch

from coview.data.base import InMemory
from coview.data.loading import Batches
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.gradient_accumulation import Parts


def parts(count: int, size: int = 6, instants: int = 12) -> Parts:
    data = InMemory(MultiView(H36M_17, rig=torch.arange(instants)))
    return Parts(Batches(data, size, 0, 0, 4), count)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_parts_are_the_batch_in_order(count):
    whole = [batch.rig.tolist() for batch in parts(1)]
    cut = [batch.rig.tolist() for batch in parts(count)]
    assert len(cut) == len(parts(count)) == 4 * count
    assert all(len(part) == 6 // count for part in cut)
    assert [n for part in cut for n in part] == [n for batch in whole for n in batch]


def test_unequal_parts_are_refused():
    with pytest.raises(ValueError, match="a batch of 5 instants cannot be cut into 2 equal parts"):
        list(parts(2, size=6, instants=5))
