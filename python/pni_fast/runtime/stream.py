"""Stream images through a computation: read and crop in threads, in bounded memory, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.data.cropping import read_crop
from pni_fast.errors import DataError

from .copies import Values, to_device
from .device import Device
from .gpu_calls import GPU_BATCH
from .run import Run
from .threads import ordered_map

R = TypeVar("R")

GPU_IN_FLIGHT = 3
"""Batches in work at once on a GPU: one in the networks while others are scored on the CPU."""

OnBroken = Callable[[str, str], None]
"""Called with the name of an unreadable image and the reason, when such images are to be skipped."""


@dataclass(frozen=True)
class Streamed(Generic[R]):
    """One image's crop, uint8 (H, W, 3), and what was computed from it."""

    source: Source
    image: NDArray[np.uint8]
    result: R


def stream(
    sources: Iterable[Source],
    geometry: Geometry,
    compute: Callable[[Values], list[R]],
    run: Run,
    *,
    on_broken: OnBroken | None = None,
    pool: ThreadPoolExecutor | None = None,
    batched: bool | None = None,
    ahead: bool = True,
) -> Iterator[Streamed[R]]:
    """Yield ``compute(crops)`` of every readable source, in order.

    Parameters
    ----------
    sources
        The images; read in `run.threads` threads.
    geometry
        How they are cropped.
    compute
        Takes uint8 crops (b, H, W, 3), an array or on a GPU a tensor there, and returns b results. On
        a CPU it is called from the reading threads with b = 1, which makes results independent of the number
        of threads.
    run
        Where the networks run; the number of threads. Nothing is reported.
    on_broken
        Told about unreadable images, which are then left out; without it they raise.
    pool
        Threads to read in, in place of ones of its own.
    batched
        Whether images go through `compute` in batches; None: on a GPU.
    ahead
        Whether sources may be asked for before the results of those before them are taken. A camera that
        waits for its next picture, or for what was said of the last one, must not be: one image at a time.

    Raises
    ------
    DataError
        A source cannot be read and `on_broken` is None.
    """
    one_by_one = not (run.batched if batched is None else batched)

    def load(source: Source) -> tuple[Source, NDArray[np.uint8] | DataError, list[R]]:
        try:
            image = read_crop(source, geometry)
        except DataError as error:
            return source, error, []
        return source, image, compute(image[None]) if one_by_one else []

    def loaded() -> Iterator[tuple[Source, NDArray[np.uint8], list[R]]]:
        for source, image, results in ordered_map(load, sources, run.threads, pool, ahead=ahead):
            if not isinstance(image, DataError):
                yield source, image, results
            elif on_broken is None:
                raise image
            else:
                on_broken(source.name, str(image))

    if one_by_one:
        for source, image, results in loaded():
            yield Streamed(source, image, results[0])
        return

    crops = ((source, image) for source, image, _ in loaded())
    yield from in_batches(crops, compute, run.device, GPU_BATCH if ahead else 1, ahead=ahead)


def in_batches(
    crops: Iterable[tuple[Source, NDArray[np.uint8]]],
    compute: Callable[[Values], list[R]],
    device: Device,
    size: int = GPU_BATCH,
    *,
    ahead: bool = True,
) -> Iterator[Streamed[R]]:
    """Yield ``compute(batch)`` image by image, in order; with `ahead` several batches are in work at once."""

    def computed(batch: list[tuple[Source, NDArray[np.uint8]]]) -> list[Streamed[R]]:
        pixels = to_device([image for _, image in batch], device)
        return [
            Streamed(source, image, result)
            for (source, image), result in zip(batch, compute(pixels), strict=True)
        ]

    for results in ordered_map(computed, _batches(crops, size), GPU_IN_FLIGHT, ahead=ahead):
        yield from results


T = TypeVar("T")


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
