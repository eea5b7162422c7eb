"""Images in, anomaly maps out: the networks work on one batch while those before it are searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.runtime.copies import Values
from pni_fast.runtime.gpu_calls import GPU_BATCH
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken, Streamed, stream
from pni_fast.runtime.threads import thread_pool

from .scorer import ForEach


class Maps(Protocol):
    """What gives maps of crops: a :class:`.scorer.Scorer`, a refined one, or an ensemble of them."""

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the map of each crop."""
        ...


def stream_maps(
    scorer: Maps,
    sources: Iterable[Source],
    geometry: Geometry,
    run: Run,
    *,
    on_broken: OnBroken | None = None,
    batched: bool | None = None,
    ahead: bool = True,
) -> Iterator[Streamed[NDArray[np.float32]]]:
    """Yield the anomaly map of every readable source, in order.

    On a CPU every thread takes one image from its file to its map. On a GPU images go in batches, a few of
    them in work at once: while the networks have one, the search goes on in others, image by image, in the
    threads that also read the images; together they are as many as `run.threads`.

    Parameters
    ----------
    scorer
        Its networks are on `run.device`.
    sources, geometry, run, on_broken, batched, ahead
        As for :func:`pni_fast.runtime.stream.stream`.
    """
    batched = run.batched if batched is None else batched
    if not batched:
        # Images that come alone, or are fewer than the threads, share them all in the search: same maps.
        known = len(sources) if isinstance(sources, Sized) else run.threads
        search_threads = max(1, run.threads // max(1, known if ahead else 1))
        one_by_one = stream(
            sources,
            geometry,
            lambda crops: scorer.maps(crops, threads=search_threads),
            run,
            on_broken=on_broken,
            batched=False,
            ahead=ahead,
        )
        yield from one_by_one
        return
    images, each = shares(run.threads)
    with thread_pool(images) as pool:

        def maps(crops: Values) -> list[NDArray[np.float32]]:
            # The few images of a last, small batch share the cores of a whole one.
            return scorer.maps(crops, max(each, run.threads // len(crops)), pool.map)

        yield from stream(
            sources,
            geometry,
            maps,
            run.with_threads(images),
            on_broken=on_broken,
            pool=pool,
            batched=True,
            ahead=ahead,
        )


def shares(threads: int) -> tuple[int, int]:
    """Return how many images are searched at once, and the threads of each; no more than `threads` in all.

    Threads work best on an image each; only where there are more of them than images in a batch do several
    share one.
    """
    each = max(1, round(threads / GPU_BATCH))
    return max(1, threads // each), each
