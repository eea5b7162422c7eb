"""Threads over images, one thread inside each: the same bits for any number of threads.

Torch's own threads cut some reductions differently for each thread count, which changes the last bit of a
sum. Work on a CPU is therefore shared out by image (or by part of a batch), every part computed by a single
thread. Where nothing has imported torch there is nothing to set, and nothing here imports it; whoever builds
a network for such threads builds it before they start.

Torch's threads do not outlive a fork, and a child that asks for them waits for ever. A child forked from a
process that has imported this and torch therefore computes on the calling thread alone, as the kernels do
there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pni_fast import _core
from pni_fast.errors import PniError
from pni_fast.kernels.arguments import as_threads

T = TypeVar("T")
R = TypeVar("R")


def torch_threads() -> int | None:
    """Return the threads that torch's CPU operators take in the calling thread; None without torch."""
    count = getattr(sys.modules.get("torch"), "get_num_threads", None)
    return None if count is None else int(count())


def set_torch_threads(count: int | None) -> None:
    """Set :func:`torch_threads`, where torch has been imported and there is a number to set."""
    change = getattr(sys.modules.get("torch"), "set_num_threads", None)
    if change is not None and count is not None:
        change(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: set_torch_threads(1))


def resolve_threads(count: int | None) -> int:
    """Return the threads to use: the argument, else PNI_FAST_NUM_THREADS, else every core.

    More than four for each core (or 16, where that is more) are not used: they would wait for each other.

    Raises
    ------
    PniError
        The argument or the environment variable is no integer of at least 1.
    """
    try:
        return _core.num_threads(as_threads(count))
    except (TypeError, ValueError) as error:
        raise PniError(str(error)) from None


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch's CPU operators in the calling thread on that thread alone.

    Besides giving the same bits for any number of threads, this keeps torch's own threads from spinning
    beside ours while they wait for the next operator.
    """
    before = torch_threads()
    set_torch_threads(1)
    try:
        yield
    finally:
        set_torch_threads(before)


@contextlib.contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool whose threads run torch's CPU operators each on itself alone.

    On leaving, what has not started is dropped and what runs is waited for.
    """
    before = torch_threads()
    pool = ThreadPoolExecutor(
        threads, thread_name_prefix="pni-fast", initializer=set_torch_threads, initargs=(1,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        # The setting is kept per thread, but threads that torch has not met yet start from the last one made.
        set_torch_threads(before)


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    pool: ThreadPoolExecutor | None = None,
    *,
    ahead: bool = True,
) -> Generator[R, None, None]:
    """Yield ``function(item)`` in the order of the items, `threads` at a time.

    At most twice as many results as threads are held, so memory does not grow with the number of items. An
    exception comes out at its item's turn and drops what was queued behind it. The threads are those of
    `pool`, which is left open, or of one made for this call. Without `ahead` an item is asked for only when
    the result of the one before it has been taken, and one thread works.
    """
    iterator = iter(items)
    window = 2 * threads if ahead else 1
    with thread_pool(threads if ahead else 1) if pool is None else contextlib.nullcontext(pool) as working:
        pending = deque(working.submit(function, item) for item in itertools.islice(iterator, window))
        try:
            while pending:
                result = pending.popleft().result()
                if ahead:
                    pending.extend(working.submit(function, item) for item in itertools.islice(iterator, 1))
                yield result
                if not ahead:
                    pending.extend(working.submit(function, item) for item in itertools.islice(iterator, 1))
        finally:
            for unfinished in pending:
                unfinished.cancel()
