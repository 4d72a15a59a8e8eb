"""Tensors that are slow to compute, cached on disk in pieces: computed once, resumable, safe against interruption."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coview.formats.io.tensor_cache import keep, kept
from coview.progress import progress
from coview.threads import one_thread

Make = Callable[[int], dict[str, Tensor]]


def cache_folder(name: str) -> Path:
    """Cache folder of a kind of data: $COVIEW_DATA/<name>, else ~/.cache/coview/<name>.

    Args:
        name: of the kind."""
    root = os.environ.get("COVIEW_DATA")
    return (Path(root).expanduser() if root else Path.home() / ".cache" / "coview") / name


def digest(settings: Mapping[str, Any]) -> str:
    """A short hash of settings; equal settings have equal hashes.

    Args:
        settings: plain values by name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def gathered(
    make: Make, lengths: list[int], *, folder: Path | None, stem: str, what: str, workers: int = 1
) -> dict[str, Tensor]:
    """Computes or loads the pieces of a cache and concatenates their tensors along the first axis.

    A piece that is damaged, changed or of another length is computed again. Each piece is computed on one core, however
    many workers there are: matrix products and decompositions round differently on one core and on two, so that
    otherwise the result would depend on the number of workers, on OMP_NUM_THREADS, and, where MKL chooses the number of
    cores, on the load of the machine. Memory: the result and two pieces per worker.

    Args:
        make: computes the piece of a number.
        lengths: rows of every piece.
        folder: of the cache; pieces are <stem>_<number>.safetensors. None: no cache.
        stem: beginning of the files' names.
        what: label of the progress bar.
        workers: threads that compute pieces; the result does not depend on it.

    Raises:
        OSError: a piece cannot be written."""
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
            with one_thread():
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
            # what threads of later pools begin with
            torch.set_num_threads(before)


def _piece(path: Path | None, length: int, number: int, make: Make) -> dict[str, Tensor]:
    piece = None if path is None else kept(path)
    if piece and all(len(tensor) == length for tensor in piece.values()):
        return piece
    piece = make(number)
    if path is not None:
        keep(path, piece)
    return piece
