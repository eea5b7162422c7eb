"""Threads over images, one thread inside each: the same bits for any number of threads.

Torch's own threads cut some reductions differently for each thread count, which changes the last bit of a
sum. Work on a CPU is therefore shared out by image (or by part of a batch), every part computed by a single
thread.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from .errors import PniError

T = TypeVar("T")
R = TypeVar("R")


def resolve_device(name: str) -> torch.device:
    """Return the torch device for ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    PniError
        The name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PniError(f"device must be auto, cpu or cuda, got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise PniError(f"device must be auto, cpu or cuda, got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise PniError(f"device {name!r} asked for, but torch sees no CUDA GPU; use --device cpu or auto")
    return device


def resolve_threads(count: int | None) -> int:
    """Return the threads to use: the argument, else PNI_FAST_NUM_THREADS, else every core."""
    from . import _core

    return _core.num_threads(count)


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch's CPU operators in the calling thread on that thread alone.

    Besides giving the same bits for any number of threads, this keeps torch's own threads from spinning
    beside ours while they wait for the next operator.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def thread_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool whose threads run torch's CPU operators each on itself alone.

    On leaving, what has not started is dropped and what runs is waited for.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        workers, thread_name_prefix="pni-fast", initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        # The setting is kept per thread, but threads that torch has not met yet start from the last one made.
        torch.set_num_threads(before)


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    pool: ThreadPoolExecutor | None = None,
) -> Iterator[R]:
    """Yield ``function(item)`` in the order of the items, `workers` at a time.

    At most twice as many results as workers are held, so memory does not grow with the number of items. An
    exception comes out at its item's turn and drops what was queued behind it. The threads are those of
    `pool`, which is left open, or of one made for this call.
    """
    iterator = iter(items)
    with thread_pool(workers) if pool is None else contextlib.nullcontext(pool) as threads:
        pending = deque(threads.submit(function, item) for item in itertools.islice(iterator, 2 * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(threads.submit(function, item) for item in itertools.islice(iterator, 1))
                yield result
        finally:
            for left in pending:
                left.cancel()
