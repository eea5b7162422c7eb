"""Features that stay with the workers that made them; the search, labels and descriptors come by share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distributed import Executor, ShardActor, greedy_coreset
from pni_fast.distributed.executors import Call
from pni_fast.errors import DataError
from pni_fast.kernels import nearest
from pni_fast.runtime.feature_room import widened

from .features import Held, Picked, Told

AT_ONCE = 1 << 16
"""Rows that are fetched in one call: what arrives has room beside all else."""


class FeatureShard(ShardActor):
    """The features of some images beside each other, and what is asked of them.

    Parameters
    ----------
    features
        (n, h, w, d), n > 0.
    name
        What errors call it.
    threads
        Of its kernels.
    """

    def __init__(self, features: NDArray[np.floating[Any]], name: str, threads: int) -> None:
        self._held, self._own_threads = Held(features), threads
        super().__init__(self._held.array.reshape(-1, features.shape[3]), name, threads)

    def labels(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the nearest vector of every row, the first among equals, int64 (n·h·w,)."""
        return nearest(self._rows, vectors, num_threads=self._own_threads)[0]

    def described(self) -> NDArray[np.float32]:
        """Return the descriptor of every image, float32 (n, d)."""
        return self._held.described(self._own_threads)


class Sharded:
    """All features, by the actors that have them.

    Parameters
    ----------
    executor
        Calls the actors.
    actors
        Each answers as :class:`FeatureShard` does, in the order of their images.
    counts
        How many images each has, at least 1.
    grid
        (h, w, d) of an image's features.
    """

    def __init__(
        self, executor: Executor, actors: Sequence[Any], counts: Sequence[int], grid: tuple[int, int, int]
    ) -> None:
        self._executor, self._actors = _OneByOne(executor), list(actors)
        self._grid = grid
        self._firsts = np.concatenate([[0], np.cumsum(counts)]) * (grid[0] * grid[1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return (n, h, w, d)."""
        height, width, dimension = self._grid
        return int(self._firsts[-1]) // (height * width), height, width, dimension

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return patches by their places in all images flattened, float32 (k, d), from their actors."""
        found = np.empty((len(places), self._grid[2]), np.float32)
        for start in range(0, len(places), AT_ONCE):
            self._fetch(places[start : start + AT_ONCE], found[start : start + AT_ONCE])
        return found

    def of(self, image: int) -> NDArray[np.float32]:
        """Return Φ of an image, float32 (h·w, d)."""
        area = self._grid[0] * self._grid[1]
        return self.rows(np.arange(image * area, (image + 1) * area))

    def described(self, _threads: int, /) -> NDArray[np.float32]:
        """Return the descriptor of every image, float32 (n, d), by the threads of the actors."""
        return np.concatenate(self._ask("described"))

    def picked(self, size: int, n_classes: int, threads: int, told: Told) -> Picked:
        """Return the rows of the exact greedy search over all shares, and the labels.

        Raises
        ------
        DataError
            A share is of another size than it was: it was lost, and not all can be read again.
        """
        found = greedy_coreset(
            self._actors, size, executor=_Started(self._executor), num_threads=threads, progress=told
        )
        vectors = self.rows(found.indices[:n_classes])
        labels = self._ask("labels", vectors)
        for number, (own, rows) in enumerate(zip(labels, np.diff(self._firsts), strict=True)):
            if len(own) != rows:
                raise DataError(
                    f"share {number}: its images have changed: {rows} rows before, {len(own)} now"
                )
        return Picked(found.indices, np.concatenate(labels).reshape(self.shape[:3]))

    def _ask(self, name: str, *arguments: Any) -> list[Any]:
        return self._executor.run([(actor, name, arguments) for actor in self._actors])

    def _fetch(self, places: NDArray[np.int64], found: NDArray[np.float32]) -> None:
        owners = np.searchsorted(self._firsts, places, side="right") - 1
        here = [(int(owner), owners == owner) for owner in np.unique(owners)]
        calls: list[Call] = [
            (self._actors[owner], "rows", (places[own] - self._firsts[owner],)) for owner, own in here
        ]
        for (_, own), rows in zip(here, self._executor.run(calls), strict=True):
            found[own] = widened(rows)


class _OneByOne:
    """An executor that threads may share: one of them at a time has its calls made."""

    def __init__(self, executor: Executor) -> None:
        self._executor, self._calling = executor, threading.Lock()

    def start(self, make: Callable[..., Any], *arguments: Any) -> Any:
        return self._executor.start(make, *arguments)

    def run(self, calls: Sequence[Call]) -> list[Any]:
        with self._calling:
            return self._executor.run(calls)

    def stop(self, handle: Any) -> None:
        self._executor.stop(handle)


class _Started(_OneByOne):
    """Hands the search actors that live already, in place of starting one over each share."""

    def start(self, make: Callable[..., Any], *arguments: Any) -> Any:
        del make  # it is made, and knows more than the search asks of it
        return arguments[0]
