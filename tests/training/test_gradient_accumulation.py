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


def test_processes_share_the_parts_among_them():
    data = InMemory(MultiView(H36M_17, rig=torch.arange(12)))
    batches = Batches(data, 12, 0, 0, 2)
    alone = [part.rig.tolist() for part in Parts(batches, 6)]
    shares = [[part.rig.tolist() for part in Parts(batches, 3, rank, 2)] for rank in (0, 1)]
    assert [len(Parts(batches, 3, rank, 2)) for rank in (0, 1)] == [6, 6]
    assert shares[0] == alone[0:3] + alone[6:9]
    assert shares[1] == alone[3:6] + alone[9:12]


def test_a_loader_goes_on_where_it_was_left_and_counts_all_the_same():
    whole, later = parts(2), parts(2)
    later.load_state_dict({"step": 3})
    assert later.state_dict() == {"step": 3}
    assert [part.rig.tolist() for part in later] == [part.rig.tolist() for part in whole][6:]
    assert len(later) == len(whole) == 8


def test_unequal_parts_are_refused():
    with pytest.raises(ValueError, match="a batch of 5 instants cannot be cut into 2 equal parts"):
        list(parts(2, size=6, instants=5))
