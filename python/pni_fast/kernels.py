"""The exact, multithreaded kernels: search and counting in Rust, arrays in and arrays out.

Every kernel gives the same result for any number of threads, any SIMD level and any machine. They release the
GIL, can be stopped with Ctrl-C, and may be used after a fork. ``num_threads=None`` means the environment
variable ``PNI_FAST_NUM_THREADS`` if set, else every core this process may use (1 in a forked child or a
DataLoader worker).

Features are matrices of shape (rows, dimensions). float32 and float16 in C order, read-only ``numpy.memmap``
of those included, are worked on in place; anything else is converted to float32 once; torch tensors on the
CPU are accepted. *Exact* means: as a plain algorithm decides in float64 on the float32 values; ties go to
the lowest index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arrays import as_array, as_count, as_integers, as_matrix, as_threads

__all__ = ["Coreset", "greedy_coreset", "max_likelihood", "nearest", "position_histogram"]


@dataclass(frozen=True, eq=False)
class Coreset:
    """What `greedy_coreset` selected.

    Attributes
    ----------
    indices
        (k,) int64: rows of the features in the order they were picked.
    radii
        (k,) float32: distance of each pick to the nearest centre before it; infinity for the very first.
    labels
        (n,) int64 or None: index of the nearest of the first `assign` centres, the earliest among equals.
    distances
        (n,) float32 or None: distance to that centre.
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
        (m, d) centres already chosen: the picks grow that coreset, first the row farthest from it.
    assign
        Also find, for every row, the nearest of the first `assign` centres. Centres are numbered in order of
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
        A shape or number out of range; NaN or infinity (in float32), naming the first such row.
    TypeError
        An argument of the wrong kind.

    Examples
    --------
    >>> import numpy as np
    >>> greedy_coreset(np.array([[0.0], [1.0], [10.0], [4.0]]), 3).indices
    array([0, 2, 3])
    """
    points = as_matrix(features, "features")
    rows = points.shape[0]
    centers = None if initial is None else as_matrix(initial, "initial")
    count = _count(size, rows)
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


def _count(size: float, rows: int) -> int:
    """Return the number of picks that `size` asks for."""
    if isinstance(size, (bool, np.bool_)) or not isinstance(size, Real):
        raise TypeError(f"size must be an int or a float, got {size!r}")
    if isinstance(size, (int, np.integer)):
        return as_count(size, "size", 1, rows)
    ratio = float(size)
    if not 0 < ratio <= 1:
        raise ValueError(f"size must be an int in [1, {rows}] or a float in (0, 1], got {ratio!r}")
    # Rounded down as PatchCore does, but 0.29 of 100 is 29 although 100 * 0.29 is 28.999999999999996.
    return min(rows, max(1, int(rows * ratio * (1 + 1e-12))))


def nearest(
    features: ArrayLike, centers: ArrayLike, *, num_threads: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the nearest centre of every row, in Euclidean distance.

    Parameters
    ----------
    features
        (n, d) points.
    centers
        (m, d) centres.
    num_threads
        Threads to use; see the module.

    Returns
    -------
    indices
        (n,) int64: the nearest centre, the lowest among equals.
    distances
        (n,) float32: the distance to it.

    Raises
    ------
    ValueError
        Shapes that do not fit; NaN or infinity, naming the first such row.
    TypeError
        An argument of the wrong kind.
    """
    return _core.nearest(
        as_matrix(features, "features"), as_matrix(centers, "centers"), as_threads(num_threads)
    )


def position_histogram(
    labels: ArrayLike, n_classes: int, *, patch: int = 9, num_threads: int | None = None
) -> NDArray[np.float32]:
    """Count how often each class occurs near each position: p(c|x), Algorithm 1 of the paper.

    Parameters
    ----------
    labels
        (images, h, w) integers in [0, n_classes).
    n_classes
        Number of classes.
    patch
        Odd side of the window around each position whose labels count, clipped at the border.
    num_threads
        Threads to use; see the module.

    Returns
    -------
    numpy.ndarray
        (h, w, n_classes) float32; each position sums to 1.

    Raises
    ------
    ValueError
        A label out of range, an empty array, an even `patch`.
    TypeError
        An argument of the wrong kind.
    """
    stack = as_integers(labels, "labels", 3)
    if 0 in stack.shape:
        raise ValueError(f"labels must have at least one image, row and column, got shape {stack.shape}")
    count, side = as_count(n_classes, "n_classes", 1), as_count(patch, "patch", 1)
    return _core.position_histogram(stack, count, side, as_threads(num_threads))


def max_likelihood(
    features: ArrayLike,
    coreset: ArrayLike,
    groups: ArrayLike,
    allowed: ArrayLike,
    *,
    num_threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find for every row the nearest coreset vector whose group is allowed for it (equations (1) to (5)).

    The distance is −log max_c p(Φ|c) T_τ(c|Ω) of the paper, λ = 1.

    Parameters
    ----------
    features
        (n, d) query vectors.
    coreset
        (m, d) embedding coreset.
    groups
        (m,) integers: the distribution coreset index of each coreset vector.
    allowed
        Which groups each row may use: bool (n, K), or the same packed by
        ``numpy.packbits(…, axis=1, bitorder="little")``: uint8 (n, ceil(K / 8)); K is then 8 times that.
    num_threads
        Threads to use; see the module.

    Returns
    -------
    distances
        (n,) float32; infinity for a row that allows no coreset vector.
    indices
        (n,) int64 into `coreset`, the lowest among equals; −1 for a row that allows none.

    Raises
    ------
    ValueError
        Shapes that do not fit, a group out of range; NaN or infinity, naming the first such row.
    TypeError
        An argument of the wrong kind.
    """
    queries, centers = as_matrix(features, "features"), as_matrix(coreset, "coreset")
    members = as_integers(groups, "groups", 1)
    if members.shape != centers.shape[:1]:
        raise ValueError(
            f"groups must have one entry per coreset row ({len(centers)}), got shape {members.shape}"
        )
    mask = as_array(allowed, "allowed")
    if mask.ndim != 2 or mask.shape[0] != len(queries):
        raise ValueError(f"allowed must have shape ({len(queries)}, groups), got {mask.shape}")
    if mask.dtype == np.bool_:
        n_groups = mask.shape[1]
        bits = np.packbits(mask, axis=1, bitorder="little")
    elif mask.dtype == np.uint8:
        n_groups = 8 * mask.shape[1]
        bits = np.ascontiguousarray(mask)
    else:
        raise TypeError(f"allowed must be bool, or uint8 holding packed bits, got dtype {mask.dtype}")
    return _core.max_likelihood(queries, centers, members, bits, n_groups, as_threads(num_threads))
