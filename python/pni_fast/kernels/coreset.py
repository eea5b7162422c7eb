"""Exact greedy k-center: rows picked one by one, each the farthest from those before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pni_fast import _core

from .arguments import as_centered, as_count, as_matrices, as_threads


@dataclass(frozen=True, eq=False)
class Coreset:
    """What `greedy_coreset` selected.

    Attributes
    ----------
    indices
        (k,) int64: rows of the features in the order they were picked.
    radii
        (k,) float32: distance of each pick to the nearest center before it; infinity for the very first.
    labels
        (n,) int64 or None: index of the nearest of the first `assign` centers, the earliest among equals.
    distances
        (n,) float32 or None: distance to that center.
    """

    indices: NDArray[np.int64]
    radii: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None
    distances: NDArray[np.float32] | None = None


def greedy_coreset(
    features: ArrayLike,
    size: float,
    *,
    start: int = 0,
    initial: ArrayLike | None = None,
    assign: int | None = None,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Coreset:
    """Pick rows one by one, each the farthest from those before it: exact greedy k-center (Euclidean).

    Parameters
    ----------
    features
        (n, d) points.
    size
        How many to pick: an int in [1, n], or a float in (0, 1] for that share of n (rounded down, at
        least 1).
    start
        The row picked first. Not used with `initial`.
    initial
        (m, d) centers already chosen: the picks grow that coreset, first the row farthest from it.
    assign
        Also find, for every row, the nearest of the first `assign` centers. Centres are numbered in order of
        selection: the picks, or with `initial` its rows and then the picks.
    num_threads
        Threads to use; see the module.
    progress
        Called as ``progress(picked, total)`` every now and then from the calling thread.

    Returns
    -------
    Coreset
        Always k different rows: when there are fewer distinct points, the rest are the lowest rows not yet
        picked, at radius 0.

    Raises
    ------
    ValueError
        A shape or number out of range; NaN or infinity (in float32), naming the first such row; float64 so
        near its mean that float32 has no numbers for it.
    TypeError
        An argument of the wrong kind.
    MemoryError
        No room for what the sizes ask for.

    Examples
    --------
    >>> import numpy as np
    >>> greedy_coreset(np.array([[0.0], [1.0], [10.0], [4.0]]), 3).indices
    array([0, 2, 3])
    """
    if initial is None:
        points, centers = as_centered(features, "features"), None
    else:
        points, centers = as_matrices(features, initial, ("features", "initial"), around=0)
    rows = points.shape[0]
    count = count_of(size, rows)
    before = 0 if centers is None else centers.shape[0]
    result = _core.greedy_coreset(
        points,
        count,
        as_count(start, "start", 0, rows - 1),
        centers,
        None if assign is None else as_count(assign, "assign", 1, before + count),
        as_threads(num_threads),
        progress,
    )
    return Coreset(*result)


def count_of(size: float, rows: int) -> int:
    """Return the number of picks that `size` asks for.

    Raises
    ------
    TypeError
        It is no number.
    ValueError
        It is out of its range.
    """
    if isinstance(size, (bool, np.bool_)) or not isinstance(size, Real):
        raise TypeError(f"size must be an int or a float, got {size!r}")
    if isinstance(size, (int, np.integer)):
        return as_count(size, "size", 1, rows)
    ratio = float(size)
    if not 0 < ratio <= 1:
        raise ValueError(f"size must be an int in [1, {rows}] or a float in (0, 1], got {ratio!r}")
    # Rounded down as PatchCore does, but 0.29 of 100 is 29 although 100 * 0.29 is 28.999999999999996.
    return min(rows, max(1, int(rows * ratio * (1 + 1e-12))))
