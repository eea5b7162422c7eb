"""The minimum of distance plus a penalty of the class, exactly: equation (5) before any threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .packing import pack
from .search import max_likelihood, nearest


def nearest_with_penalty(
    features: NDArray[np.float32],
    coreset: NDArray[np.float32],
    groups: NDArray[np.int64],
    penalty: NDArray[np.float32],
    *,
    num_threads: int | None = None,
) -> NDArray[np.float32]:
    """Return min over c of ‖Φ − c‖ + penalty of the group of c, for every row.

    The search goes outward. Whatever lies farther than the candidate just found must have a smaller penalty
    to win, so the next candidate is the nearest among the groups whose penalty is still small enough; few
    rows need more than a handful of steps. The result is that of the full search.

    Parameters
    ----------
    features
        (n, d) float32 queries.
    coreset
        (m, d) float32, C_emb.
    groups
        (m,) int64, the C_dist index of each row of `coreset`.
    penalty
        (n, K) float32, finite, in units of distance.
    num_threads
        As for :func:`pni_fast.nearest`.

    Returns
    -------
    ndarray
        (n,) float32.

    Raises
    ------
    ValueError
        As for :func:`pni_fast.max_likelihood`.
    """
    found, distance = nearest(features, coreset, num_threads=num_threads)
    best = np.full(len(features), np.inf)
    rows = np.arange(len(features))
    while len(rows):
        paid = penalty[rows, groups[found]].astype(np.float64)
        best[rows] = np.minimum(best[rows], distance + paid)
        # Strictly below the last candidate's penalty: the sets shrink and the loop ends.
        limit = np.minimum(best[rows] - distance, paid)
        allowed = penalty[rows] < limit[:, None]
        left = allowed.any(axis=1)
        rows = rows[left]
        if len(rows):
            distance, found = max_likelihood(
                features[rows], coreset, groups, pack(allowed[left]), num_threads=num_threads
            )
            reached = found >= 0  # a group may own no coreset row
            rows, distance, found = rows[reached], distance[reached], found[reached]
    return best.astype(np.float32)
