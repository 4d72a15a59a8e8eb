"""One thread for what must be the same everywhere: several threads round sums in another order."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread within, as a context or as a decorator; then on as many as before.

    MKL splits matrix products between threads and rounds the parts differently, so that results, and every fingerprint
    made of them, would depend on the machine's cores and on OMP_NUM_THREADS. What is computed per recording is small:
    one thread is no slower. In a pool each thread calls this for itself, since the number is one per thread.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
