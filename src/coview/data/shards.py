"""Tensors that are slow to make, kept on disk in pieces: made once, resumable, safe against interruption."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coview.formats.io.tensor_cache import keep, kept
from coview.progress import progress

Make = Callable[[int], dict[str, Tensor]]


def cache_folder(name: str) -> Path:
    """Where kept things of this kind lie: $COVIEW_DATA/<name>, else ~/.cache/coview/<name>."""
    root = os.environ.get("COVIEW_DATA")
    return (Path(root).expanduser() if root else Path.home() / ".cache" / "coview") / name


def digest(settings: Mapping[str, Any]) -> str:
    """A short name for settings of plain values; equal settings have equal names."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def gathered(
    make: Make, lengths: list[int], *, folder: Path | None, stem: str, what: str, workers: int = 1
) -> dict[str, Tensor]:
    """The tensors of all pieces, one after another along their first axis; piece `n` has `lengths[n]` rows.

    With a `folder` each piece is read from there, or made and left there as <stem>_<number>.safetensors; a
    piece that is damaged, changed or of other lengths is made again. With several `workers` that many threads make
    pieces. Each piece is made on one core, however many workers there are: matrix products and decompositions round
    differently on one core and on two, so that otherwise the result would depend on the number of workers, on
    OMP_NUM_THREADS, and, where MKL chooses how many cores it takes, on what else the machine does. Memory: the
    result and two pieces per worker. OSError where they cannot be kept."""
    whole: dict[str, Tensor] = {}
    start = 0

    def piece_of(number: int) -> dict[str, Tensor]:
        path = None if folder is None else folder / f"{stem}_{number:05d}.safetensors"
        return _piece(path, lengths[number], number, make)

    pieces = progress(_in_order(piece_of, len(lengths), workers), total=len(lengths), what=what)
    for piece, length in zip(pieces, lengths, strict=True):
        for name, tensor in piece.items():
            if name not in whole:
                whole[name] = tensor.new_empty(sum(lengths), *tensor.shape[1:])
            whole[name][start : start + length] = tensor
        start += length
    return whole


def _in_order(make: Make, count: int, workers: int) -> Iterator[dict[str, Tensor]]:
    """Pieces 0, 1, …, of which no more than two per worker are made and not yet taken."""
    if min(workers, count) <= 1:
        for number in range(count):
            with _on_one_core():
                piece = make(number)
            yield piece
        return
    before = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            waiting = deque(pool.submit(make, number) for number in range(min(count, 2 * workers)))
            for following in range(len(waiting), count + len(waiting)):
                piece = waiting.popleft().result()
                if following < count:
                    waiting.append(pool.submit(make, following))
                yield piece
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)  # what threads of later pools begin with


@contextmanager
def _on_one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _piece(path: Path | None, length: int, number: int, make: Make) -> dict[str, Tensor]:
    piece = None if path is None else kept(path)
    if piece and all(len(tensor) == length for tensor in piece.values()):
        return piece
    piece = make(number)
    if path is not None:
        keep(path, piece)
    return piece
