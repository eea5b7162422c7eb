"""Exact nearest neighbours: among all centers, and among those whose group is allowed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pni_fast import _core

from .arguments import as_bits, as_integers, as_matrices, as_threads


def nearest(
    features: ArrayLike, centers: ArrayLike, *, num_threads: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the nearest center of every row, in Euclidean distance.

    Parameters
    ----------
    features
        (n, d) points.
    centers
        (m, d) centers.
    num_threads
        Threads to use; see the module.

    Returns
    -------
    indices
        (n,) int64: the nearest center, the lowest among equals.
    distances
        (n,) float32: the distance to it.

    Raises
    ------
    ValueError
        Shapes that do not fit; NaN or infinity, naming the first such row; float64 so near its mean that
        float32 has no numbers for it.
    TypeError
        An argument of the wrong kind.
    MemoryError
        No room for what the sizes ask for.
    """
    queries, targets = as_matrices(features, centers, ("features", "centers"), around=1)
    return _core.nearest(queries, targets, as_threads(num_threads))


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
        Shapes that do not fit, a group out of range; NaN or infinity, naming the first such row; float64 so
        near its mean that float32 has no numbers for it.
    TypeError
        An argument of the wrong kind.
    MemoryError
        No room for what the sizes ask for.
    """
    queries, centers = as_matrices(features, coreset, ("features", "coreset"), around=1)
    owners = as_integers(groups, "groups", 1)
    if owners.shape != centers.shape[:1]:
        raise ValueError(
            f"groups must have one entry per coreset row ({len(centers)}), got shape {owners.shape}"
        )
    bits, n_groups = as_bits(allowed, "allowed", len(queries))
    return _core.max_likelihood(queries, centers, owners, bits, n_groups, as_threads(num_threads))
