"""The coordinator: chooses thresholds, gathers hot rows, picks among them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast import _core
from pni_fast.errors import DataError
from pni_fast.kernels.arguments import as_count, as_threads
from pni_fast.kernels.coreset import count_of

from .executors import Executor, InProcess
from .shard import ShardActor

LISTED = 16
"""A threshold is as low as one row in so many may still reach, as far as is known."""

FEWEST = 64
"""Hot rows a round, at least."""

FIRST = 16
"""Hot rows a round, at least, as a share of all picks: fewer would take more rounds."""

SHARE = 3
"""From then on one for every so many picks."""

STEP = 0.9
"""Where no row reaches a threshold, the next is at most this share of it."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What was selected, and what travelled for it.

    Attributes
    ----------
    indices
        (k,) int64: rows in the order they were picked, numbered through all shards.
    radii
        (k,) float32: distance of each pick to the nearest before it; infinity for the first.
    rounds
        Times that hot rows were gathered.
    hot_rows
        Rows that were sent to the coordinator.
    bytes_sent
        Of arrays, both ways.
    """

    indices: NDArray[np.int64]
    radii: NDArray[np.float32]
    rounds: int
    hot_rows: int
    bytes_sent: int

    def __str__(self) -> str:
        picks = len(self.indices)
        return (
            f"{picks:,} picks in {self.rounds} rounds: {self.hot_rows / picks:.2f} hot rows a pick, "
            f"{self.bytes_sent / 1e6:.1f} MB sent"
        )


class _Shards:
    """All shards of a selection, and what has gone to and from them."""

    def __init__(self, shards: Sequence[Any], executor: Executor, num_threads: int | None) -> None:
        self._executor = executor
        self._actors = [
            executor.start(ShardActor, rows, f"shard {number}", num_threads)
            for number, rows in enumerate(shards)
        ]
        self.bytes_sent = 0
        shapes = self.ask("shape")
        widths = [columns for _, columns in shapes]
        for number, width in enumerate(widths):
            if width != widths[0]:
                raise DataError(f"shard {number} must have {widths[0]} columns as shard 0 has, got {width}")
        self.sizes = [rows for rows, _ in shapes]
        self.firsts = np.concatenate([[0], np.cumsum(self.sizes)])

    @property
    def rows(self) -> int:
        return int(self.firsts[-1])

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        results = self._executor.run([(actor, name, arguments) for actor in self._actors])
        self.bytes_sent += len(self._actors) * _bytes(arguments) + sum(map(_bytes, results))
        return results

    def rows_of(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return rows, float32 (k, d), that are numbered through all shards, ascending."""
        ends = np.searchsorted(indices, self.firsts)
        asked = [
            (self._actors[number], "rows", (indices[a:b] - first,))
            for number, (first, (a, b)) in enumerate(zip(self.firsts, pairwise(ends), strict=False))
            if a < b
        ]
        results = self._executor.run(asked)
        self.bytes_sent += sum(_bytes(arguments) for *_, arguments in asked) + sum(map(_bytes, results))
        return np.concatenate(results)


class _Hot:
    """Rows that were hot once and are not picked: most of them will be hot again, and none is sent twice."""

    def __init__(self, parts: _Shards, columns: int) -> None:
        self._parts = parts
        self._indices = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)  # of these rows, in what follows
        self._rows = np.empty((0, columns), np.float32)
        self._free = np.empty(0, np.int64)
        self.sent = 0

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the rows (m, d) of ascending `indices`; those that are not here are sent."""
        new = np.setdiff1d(indices, self._indices, assume_unique=True)
        if len(new):
            self.sent += len(new)
            self._keep(new, self._parts.rows_of(new))
        rows: NDArray[np.float32] = self._rows[self._places[np.searchsorted(self._indices, indices)]]
        return rows

    def forget(self, picked: NDArray[np.int64]) -> None:
        """Drop rows that will never be asked for again."""
        left = np.isin(self._indices, picked, assume_unique=True, invert=True)
        self._free = np.concatenate([self._free, self._places[~left]])
        self._indices, self._places = self._indices[left], self._places[left]

    def _keep(self, new: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Put rows where none is: those that are here stay where they are."""
        room = len(self._rows)
        if len(new) > len(self._free):
            more = max(len(new) - len(self._free), room)
            self._free = np.concatenate([self._free, np.arange(room, room + more)])
            self._rows = np.concatenate([self._rows, np.empty((more, rows.shape[1]), np.float32)])
        places, self._free = self._free[: len(new)], self._free[len(new) :]
        self._rows[places] = rows
        indices = np.concatenate([self._indices, new])
        order = np.argsort(indices)
        self._indices = indices[order]
        self._places = np.concatenate([self._places, places])[order]


def greedy_coreset(
    shards: Sequence[Any],
    size: float,
    *,
    start: int = 0,
    executor: Executor | None = None,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Selection:
    """Pick rows of several shards, each the farthest from those before it: exact greedy k-center.

    Parameters
    ----------
    shards
        What :class:`ShardActor` takes, one for each: (n, d) float32 or float16 arrays, or ``.npy`` files that
        are mapped where the shard lives. Rows are numbered through them in order.
    size
        How many to pick: an int in [1, n], or a float in (0, 1] for that share of all n rows.
    start
        The row picked first.
    executor
        Where the shards live; in this process if None.
    num_threads
        Threads of each shard's kernels, and of the coordinator's.
    progress
        Called as ``progress(picked, total)`` after each round.

    Returns
    -------
    Selection
        Of equally far rows the lowest is picked; rows beyond all that are different have radius 0.

    Raises
    ------
    DataError
        A shard is empty, partly masked, no aligned matrix of float32 or float16 in C order, a file that is
        not there or holds none, or not as wide as the first.
    ValueError
        A number out of range; NaN or infinity in a shard, naming the shard's first such row.

    Examples
    --------
    >>> import numpy as np
    >>> from pni_fast.distributed import greedy_coreset
    >>> points = np.array([[0.0], [1.0], [4.0], [10.0]], dtype=np.float32)
    >>> greedy_coreset([points[:1], points[1:]], 3).indices
    array([0, 3, 2])
    """
    if not len(shards):
        raise DataError("shards must be at least one, got none")
    num_threads = as_threads(num_threads)
    parts = _Shards(shards, executor or InProcess(), num_threads)
    size, start = count_of(size, parts.rows), as_count(start, "start", 0, parts.rows - 1)
    first = parts.rows_of(np.array([start]))
    samples = parts.ask("begin", first)
    hot = _Hot(parts, first.shape[1])
    picks, squared = [np.array([start])], [np.array([np.inf])]
    count, rounds, ceiling = 1, 0, np.inf
    while count < size:
        # What a shard that was made again knows may be as far as ever: no row is.
        threshold = max(min(_lower(samples, parts.sizes), ceiling), sys.float_info.min)
        most = max(FEWEST, size // FIRST, count // SHARE)
        found = parts.ask("hot", threshold, most)
        rounds += 1
        indices = np.concatenate(
            [rows + first for (rows, _, _), first in zip(found, parts.firsts, strict=False)]
        )
        distances = np.concatenate([distances for _, distances, _ in found])
        # Below the highest floor a shard may have kept some back.
        floor = max(floor for *_, floor in found)
        if len(distances) > most:
            floor = max(floor, float(np.partition(distances, -most)[-most]))
        wanted = distances >= floor
        if not wanted.any():
            if threshold == sys.float_info.min:
                break
            ceiling, samples = STEP * threshold, parts.ask("sample")
            continue
        indices = indices[wanted]
        rows = hot.rows(indices)
        places, taken = _core.pick_hot(rows, distances[wanted], floor, size - count, num_threads)
        ceiling = floor
        samples = parts.ask("take", rows[places])
        picks.append(indices[places])
        hot.forget(picks[-1])
        squared.append(taken)
        count += len(places)
        if progress is not None:
            progress(count, size)
    indices = np.concatenate(picks)
    if count < size:
        # All others are at distance 0: the lowest that are not picked.
        lowest = np.arange(min(parts.rows, size + count))
        indices = np.concatenate([indices, np.setdiff1d(lowest, indices)[: size - count]])
        squared.append(np.zeros(size - count))
    with np.errstate(over="ignore"):  # a distance beyond float32 is infinity, as the kernel has it
        radii = np.sqrt(np.concatenate(squared)).astype(np.float32)
    return Selection(indices.astype(np.int64), radii, rounds, hot.sent, parts.bytes_sent)


def _lower(samples: Sequence[NDArray[np.float64]], sizes: Sequence[int]) -> float:
    """Return the next threshold, a squared distance: as many rows may reach it as are worth a look.

    Parameters
    ----------
    samples
        Of each shard at least the squared distances of some rows.
    sizes
        Rows of each shard.
    """
    values = np.concatenate(samples)
    weights = np.concatenate(
        [np.full(len(sample), rows / len(sample)) for sample, rows in zip(samples, sizes, strict=True)]
    )
    order = np.argsort(-values)
    before = np.cumsum(weights[order])
    place = min(int(np.searchsorted(before, sum(sizes) / LISTED)), len(order) - 1)
    return max(float(values[order[place]]), sys.float_info.min)


def _bytes(value: Any) -> int:
    """Return the bytes of the arrays in some arguments or results, and 8 for each number."""
    if isinstance(value, (tuple, list)):
        return sum(map(_bytes, value))
    return int(getattr(value, "nbytes", 8)) if value is not None else 0
