"""The distance to what is allowed, given the distance to the nearest of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .search import max_likelihood


def bound_distances(
    features: NDArray[np.float32],
    coreset: NDArray[np.float32],
    groups: NDArray[np.int64],
    allowed: NDArray[np.uint8],
    found: NDArray[np.int64],
    free: NDArray[np.float32],
    *,
    num_threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the distance of every row to the nearest vector whose group is allowed.

    Most rows of a normal image are nearest to an allowed vector anyway: only the others are searched again.
    The result is that of :func:`pni_fast.max_likelihood`, except that a row without any allowed vector keeps
    its free distance: a map cannot hold infinity.

    Parameters
    ----------
    features
        (n, d) float32.
    coreset
        (m, d) float32.
    groups
        (m,) int64: the group of each row of `coreset`.
    allowed
        (n, ceil(K / 8)) uint8: a bit a group, lowest first.
    found, free
        What :func:`pni_fast.nearest` says of `features` and `coreset`.
    num_threads
        As for :func:`pni_fast.nearest`.

    Returns
    -------
    ndarray
        (n,) float32, nowhere less than `free`.
    """
    (bound,) = bound_by_each(features, coreset, groups, [allowed], found, free, num_threads=num_threads)
    return bound


def bound_by_each(
    features: NDArray[np.float32],
    coreset: NDArray[np.float32],
    groups: NDArray[np.int64],
    allowed: Sequence[NDArray[np.uint8]],
    found: NDArray[np.int64],
    free: NDArray[np.float32],
    *,
    num_threads: int | None = None,
) -> list[NDArray[np.float32]]:
    """Return `bound_distances` for each of several sets of what is allowed, by one search of all of them."""
    own = groups[found]
    outside = [np.flatnonzero(~_holds(bits, own)) for bits in allowed]
    bound = [free.copy() for _ in allowed]
    rows = np.concatenate([*outside, np.zeros(0, dtype=np.int64)])
    if len(rows):
        sets = np.concatenate([bits[places] for bits, places in zip(allowed, outside, strict=True)])
        distances, _ = max_likelihood(features[rows], coreset, groups, sets, num_threads=num_threads)
        distances = np.where(np.isfinite(distances), distances, free[rows])
        ends = np.cumsum([len(places) for places in outside])
        for one, places, part in zip(bound, outside, np.split(distances, ends[:-1]), strict=True):
            one[places] = part
    return bound


def _holds(allowed: NDArray[np.uint8], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each row of bits has the group given for it."""
    bits = allowed[np.arange(len(groups)), groups >> 3] >> (groups & 7).astype(np.uint8)
    held: NDArray[np.bool_] = (bits & 1).astype(np.bool_)
    return held


def blended(
    free: NDArray[np.float32],
    bound: NDArray[np.float32],
    weight: float,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return (1 − w)·free + w·bound, float32 of their shape; in `out` where there is one.

    With p(Φ|c) = exp(−λ‖Φ − c‖) this is the geometric mean of the two likelihoods: a logarithmic opinion pool
    of the features alone and of the features held to a condition.
    """
    mixed = np.subtract(bound, free, out=out)
    mixed *= np.float32(weight)
    mixed += free
    return mixed
