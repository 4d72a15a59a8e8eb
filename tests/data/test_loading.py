import threading

import pytest
import torch

from coview.data.base import InMemory
from coview.data.loading import Batches, InOrder, ahead, at_once
from coview.data.on_disk import OnDisk
from coview.data.synthetic.recordings import ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17


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


# --- from disk ---------------------------------------------------------------------------------------


def picture(instant: int, view: int) -> torch.Tensor:
    return torch.full((3, 2, 2), 2 * instant + view, dtype=torch.uint8)


def on_disk(count: int = 10, read=picture) -> OnDisk:
    cameras = ring_cameras(2).expand(count, 2)
    return OnDisk(InMemory(MultiView(H36M_17, rig=torch.arange(count), cameras=cameras)), read)


def test_batches_from_disk_are_those_from_memory_bit_by_bit():
    disk = on_disk()
    images = torch.stack([torch.stack([picture(i, v) for v in range(2)]) for i in range(10)])
    memory = InMemory(disk.labels.instants.replaced(images=images))
    for a, b in zip(Batches(disk, 3, 0, 0, 7), Batches(memory, 3, 0, 0, 7), strict=True):
        assert torch.equal(a.rig, b.rig)
        assert torch.equal(a.stored("images"), b.stored("images"))
        assert torch.equal(a.cameras.cam_from_world, b.cameras.cam_from_world)


def test_the_next_batch_is_read_while_this_one_is_used():
    read, second = [], threading.Event()

    def noting(instant: int, view: int) -> torch.Tensor:
        read.append(instant)
        if len(read) == 8:
            second.set()
        return picture(instant, view)

    batches = iter(Batches(on_disk(read=noting), 2, 0, 0, 5))
    next(batches)
    assert second.wait(10)  # two instants of two views, twice, without asking for the second batch
    batches.close()
    assert len(read) == 8  # and not the whole data set


def test_what_fails_while_reading_ahead_fails_where_it_is_used():
    def broken(instant: int, view: int) -> torch.Tensor:
        raise FileNotFoundError("no file img_000001.jpg.")

    with pytest.raises(FileNotFoundError, match="img_000001"):
        next(iter(Batches(on_disk(read=broken), 2, 0, 0, 1)))


def test_nothing_is_ready_ahead_of_an_empty_series():
    assert list(ahead(iter([]))) == []


def test_data_on_disk_is_gone_through_again_without_being_kept():
    reads = []

    def noting(instant: int, view: int) -> torch.Tensor:
        reads.append(instant)
        return picture(instant, view)

    series = InOrder(on_disk(3, noting), 2)
    assert len(series) == 2
    for _ in range(2):
        assert [batch.rig.tolist() for batch in series] == [[0, 1], [2]]
    assert len(reads) == 12


def test_fewer_instants_at_once_where_they_hold_images():
    assert at_once(instants()) == at_once(on_disk()) == 512  # two views of 2 × 2 pixels are nothing
    large = torch.zeros(2, 4, 3, 384, 384, dtype=torch.uint8)
    assert at_once(InMemory(MultiView(H36M_17, images=large))) == 9
    huge = torch.zeros(1, 1, 3, 1, 1, dtype=torch.uint8).expand(1, 4, 3, 3000, 3000)
    assert at_once(InMemory(MultiView(H36M_17, images=huge))) == 1
    assert at_once(InMemory(MultiView(H36M_17, images=large[:0]))) == 512
