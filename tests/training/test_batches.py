import torch

from coview.data.base import InMemory
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.batches import Batches


def instants(count: int = 10) -> InMemory:
    return InMemory(MultiView(H36M_17, rig=torch.arange(count)))


def drawn(first: int = 0, last: int = 12, size: int = 3) -> list[list[int]]:
    return [batch.rig.tolist() for batch in Batches(instants(), size, 0, first, last)]


def test_every_instant_comes_once_per_pass():
    for start in (0, 3, 6):
        numbers = [n for batch in drawn()[start : start + 3] for n in batch]
        assert len(set(numbers)) == 9
    assert drawn()[:3] != drawn()[3:6]


def test_batches_depend_on_the_step_alone():
    assert drawn(first=5) == drawn()[5:]
    assert len(Batches(instants(), 3, 0, 5, 12)) == 7


def test_a_batch_larger_than_the_data_is_the_data():
    assert sorted(drawn(last=1, size=99)[0]) == list(range(10))
