"""Images in, anomaly maps out: the networks work on one batch while those before it are searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .geometry import Geometry
from .parallel import thread_pool
from .scorer import Spread
from .sources import Source
from .stream import GPU_BATCH, Broken, Streamed, stream


class Maps(Protocol):
    """The scoring pipeline of a model, :class:`pni_fast.scorer.Scorer` or that of an ensemble."""

    def maps(self, crops: torch.Tensor, num_threads: int, spread: Spread = map) -> list[NDArray[np.float32]]:
        """Return the map of each crop."""
        ...


def stream_maps(
    scorer: Maps,
    sources: Iterable[Source],
    geometry: Geometry,
    *,
    device: torch.device,
    workers: int,
    on_broken: Broken | None = None,
    batched: bool | None = None,
) -> Iterator[Streamed[NDArray[np.float32]]]:
    """Yield the anomaly map of every readable source, in order.

    On a CPU every thread takes one image from its file to its map. On a GPU images go in batches, a few of
    them in work at once: while the networks have one, the search goes on in others, image by image, in the
    threads that also read the images; together they are as many as `workers`.

    Parameters
    ----------
    scorer
        Its networks are on `device`.
    sources, geometry, device, workers, on_broken, batched
        As for :func:`pni_fast.stream.stream`.
    """
    if batched is None:
        batched = device.type != "cpu"
    if not batched:
        yield from stream(
            sources,
            geometry,
            lambda crops: scorer.maps(crops, num_threads=1),
            device=device,
            workers=workers,
            on_broken=on_broken,
            batched=False,
        )
        return
    images, each = shares(workers)
    with thread_pool(images) as pool:

        def maps(crops: torch.Tensor) -> list[NDArray[np.float32]]:
            # The few images of a last, small batch share the cores of a whole one.
            return scorer.maps(crops, max(each, workers // len(crops)), pool.map)

        yield from stream(
            sources,
            geometry,
            maps,
            device=device,
            workers=images,
            on_broken=on_broken,
            pool=pool,
            batched=True,
        )


def shares(workers: int) -> tuple[int, int]:
    """Return how many images are searched at once, and the threads of each; no more than `workers` in all.

    Threads work best on an image each; only where there are more of them than images in a batch do several
    share one.
    """
    each = max(1, round(workers / GPU_BATCH))
    return max(1, workers // each), each
