import threading

import pytest
import torch

from coview.data.base import InMemory
from coview.data.on_disk import OnDisk
from coview.data.synthetic.recordings import ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17


def picture(instant: int, view: int) -> torch.Tensor:
    return torch.full((3, 4, 5), 10 * instant + view, dtype=torch.uint8)


def some(read=picture, count: int = 6, **fields) -> OnDisk:
    cameras = ring_cameras(2).expand(count, 2)
    return OnDisk(
        InMemory(MultiView(H36M_17, rig=torch.arange(count), cameras=cameras, **fields)), read, threads=3
    )


def test_pictures_come_with_the_labels_of_their_instant_and_view():
    batch = some()[torch.tensor([4, 0, 4])]
    assert batch.rig.tolist() == [4, 0, 4]
    assert batch.stored("images").dtype == torch.uint8
    assert batch.stored("images")[:, :, 0, 0, 0].tolist() == [[40, 41], [0, 1], [40, 41]]
    assert batch.images.shape == (3, 2, 3, 4, 5)
    assert batch.images.max() <= 1


def test_a_slice_is_an_index_too():
    assert some()[-2:].stored("images")[:, 1, 2, 3, 4].tolist() == [41, 51]
    assert [len(batch.rig) for batch in some().batches(4)] == [4, 2]


def test_a_single_instant_has_no_batch_axis():
    one = some()[torch.tensor(3)]
    assert one.stored("images").shape == (2, 3, 4, 5)
    assert one.rig.shape == ()


def test_nothing_picked_is_an_empty_batch():
    assert some()[torch.tensor([], dtype=torch.long)].stored("images").shape[:2] == (0, 2)


def test_pictures_are_not_read_where_they_are_hidden():
    def never(instant: int, view: int) -> torch.Tensor:
        raise AssertionError

    hidden = some(never).only(frozenset({"rig", "cameras"}))
    assert hidden.fields == {"rig", "cameras"}
    assert not hidden.slow
    assert hidden[torch.tensor([1])].rig.tolist() == [1]


def test_hidden_labels_stay_hidden_beside_pictures():
    data = some().only(frozenset({"images"})).to("cpu")
    assert data.fields == {"images"}
    assert len(data) == 6
    assert data[:1].fields == {"images"}


def test_pictures_of_a_batch_are_read_at_the_same_time():
    together = threading.Barrier(3, timeout=100)  # breaks unless three readers meet

    def meeting(instant: int, view: int) -> torch.Tensor:
        together.wait()
        return picture(instant, view)

    assert some(meeting)[:3].stored("images")[:, :, 0, 0, 0].tolist() == [[0, 1], [10, 11], [20, 21]]


def test_what_reading_raises_names_the_file():
    def absent(instant: int, view: int) -> torch.Tensor:
        raise FileNotFoundError(f"no file {instant}_{view}.jpg.")

    with pytest.raises(FileNotFoundError, match=r"no file 2_[01]\.jpg"):
        some(absent)[2:3]


def test_labels_that_hold_pictures_or_no_cameras_are_refused():
    with pytest.raises(ValueError, match="no 'images', which are read from disk"):
        some(images=torch.zeros(6, 2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"labels need 'cameras'.* got rig"):
        OnDisk(InMemory(MultiView(H36M_17, rig=torch.arange(2))), picture)


def test_a_first_guess_of_the_root_can_be_added():
    data = some().only(frozenset({"images", "rig"})).replaced(base_point=torch.ones(6, 3))
    assert data.fields == {"images", "rig", "base_point"}
    assert data[torch.tensor([2])].base_point.tolist() == [[1, 1, 1]]
    with pytest.raises(ValueError, match="no 'images', which are read from disk"):
        data.replaced(images=torch.zeros(6, 2, 3, 4, 5))
