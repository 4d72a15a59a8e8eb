import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from coview.data.shards import cache_folder, digest, gathered


class Maker:
    """Makes piece n: `length` rows of the number n; counts how often it was asked."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self.asked = lengths, []

    def __call__(self, number: int) -> dict[str, torch.Tensor]:
        self.asked.append(number)
        return {
            "value": torch.full((self.lengths[number], 2), number),
            "on": torch.ones(self.lengths[number]) > 0,
        }


LENGTHS = [3, 3, 1]


def test_pieces_follow_each_other_and_are_made_once(tmp_path: Path):
    make = Maker(LENGTHS)
    first = gathered(make, LENGTHS, folder=tmp_path, stem="x", what="make")
    again = gathered(make, LENGTHS, folder=tmp_path, stem="x", what="make")
    assert make.asked == [0, 1, 2]
    assert first["value"][:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert first["on"].dtype == torch.bool
    assert all((first[name] == again[name]).all() for name in first)


def test_what_an_interruption_left_is_used(tmp_path: Path):
    class Stopped(Maker):
        def __call__(self, number: int) -> dict[str, torch.Tensor]:
            if number == 2:
                raise KeyboardInterrupt
            return super().__call__(number)

    with pytest.raises(KeyboardInterrupt):
        gathered(Stopped(LENGTHS), LENGTHS, folder=tmp_path, stem="x", what="make")
    make = Maker(LENGTHS)
    gathered(make, LENGTHS, folder=tmp_path, stem="x", what="make")
    assert make.asked == [2]


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_a_damaged_piece_is_made_again(tmp_path: Path, content: bytes):
    make = Maker(LENGTHS)
    gathered(make, LENGTHS, folder=tmp_path, stem="x", what="make")
    (tmp_path / "x_00001.safetensors").write_bytes(content)
    gathered(make, LENGTHS, folder=tmp_path, stem="x", what="make")
    assert make.asked == [0, 1, 2, 1]


def test_a_piece_of_another_length_is_made_again(tmp_path: Path):
    gathered(Maker([2]), [2], folder=tmp_path, stem="x", what="make")
    make = Maker([3])
    assert len(gathered(make, [3], folder=tmp_path, stem="x", what="make")["value"]) == 3
    assert make.asked == [0]


def test_without_a_folder_nothing_is_kept(tmp_path: Path):
    make = Maker(LENGTHS)
    for _ in range(2):
        gathered(make, LENGTHS, folder=None, stem="x", what="make")
    assert make.asked == [0, 1, 2] * 2


def test_several_workers_give_the_same_and_stay_near_each_other(tmp_path: Path):
    lengths = [2] * 20
    alone = gathered(Maker(lengths), lengths, folder=None, stem="x", what="make")
    before, make, lead = torch.get_num_threads(), Maker(lengths), []

    def watched(number: int) -> dict[str, torch.Tensor]:
        lead.append(number - len(list(tmp_path.iterdir())) if tmp_path.is_dir() else number)
        return make(number)

    together = gathered(watched, lengths, folder=tmp_path, stem="x", what="make", workers=3)
    assert torch.equal(alone["value"], together["value"])
    assert sorted(make.asked) == list(range(20))
    assert max(lead) <= 6
    assert torch.get_num_threads() == before


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_piece_is_made_on_one_core_with_any_number_of_workers(three_threads, workers: int):
    """Else sums round differently, and results depend on OMP_NUM_THREADS and the number of workers."""

    def make(number: int) -> dict[str, torch.Tensor]:
        return {"threads": torch.tensor([torch.get_num_threads()])}

    made = gathered(make, [1] * 6, folder=None, stem="x", what="make", workers=workers)
    assert made["threads"].tolist() == [1] * 6
    assert torch.get_num_threads() == 3


def test_a_piece_that_fails_gives_the_cores_back(three_threads):
    def fails(number: int) -> dict[str, torch.Tensor]:
        raise RuntimeError("no such luck")

    with pytest.raises(RuntimeError, match="no such luck"):
        gathered(fails, [1], folder=None, stem="x", what="make")
    assert torch.get_num_threads() == 3


def test_a_worker_that_fails_stops_the_others():
    make = Maker([1] * 50)

    def fails(number: int) -> dict[str, torch.Tensor]:
        if number == 1:
            raise RuntimeError("no such luck")
        return make(number)

    with pytest.raises(RuntimeError, match="no such luck"):
        gathered(fails, [1] * 50, folder=None, stem="x", what="make", workers=2)
    assert len(make.asked) < 10


def test_equal_settings_have_equal_names():
    assert digest({"a": 1, "b": "x"}) == digest({"b": "x", "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_the_folder_follows_coview_data(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    assert cache_folder("rendered") == tmp_path / "rendered"
    monkeypatch.delenv("COVIEW_DATA")
    assert cache_folder("rendered") == Path.home() / ".cache" / "coview" / "rendered"


@pytest.mark.parametrize("problem", ["no folder", "full disk"])
def test_what_cannot_be_kept_says_how_to_do_without(tmp_path: Path, monkeypatch, problem: str):
    folder = tmp_path / "kept"
    if problem == "no folder":
        folder.write_text("a file is in the way")
    else:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"cannot be kept in .*kept: .*COVIEW_DATA.*--data\.no-cache"):
        gathered(Maker(LENGTHS), LENGTHS, folder=folder, stem="x", what="x")
    assert not folder.is_dir() or not list(folder.iterdir())
