"""Normal images scored as if the model had never seen them, exactly and without a second fit.

Of an image left out nothing stays behind: its features leave C_emb and C_dist, whatever was nearest to one of
its C_dist vectors (patches of the other images, rows of C_emb) goes to the nearest of those that are left,
and p(c|x) is counted again from the other images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.data.spacing import evenly_spaced
from pni_fast.kernels import max_likelihood, nearest, position_histogram
from pni_fast.kernels.packing import pack
from pni_fast.runtime.threads import ordered_map

from .threshold import threshold

ToMap: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From a grid of scores, float32 (h, w), to the anomaly map, float32 (height, width)."""

IMAGES = 32
"""Most images left out, evenly spaced over the training set."""


@dataclass(frozen=True)
class LeftOut:
    """What images score that the model does not know.

    Attributes
    ----------
    chosen
        Their numbers.
    distances
        (len(chosen), h·w) float32: distance of every patch to the nearest vector of the other images.
    maps
        (len(chosen), h, w) float32: their anomaly maps at the centers of the patches.
    free
        (len(chosen),) float64: their image scores, the maximum of the map.
    bound
        (len(chosen),) float64: the same where a patch may be compared only with what position allows; None
        where position is switched off.
    """

    chosen: Sequence[int]
    distances: NDArray[np.float32]
    maps: NDArray[np.float32]
    free: NDArray[np.float64]
    bound: NDArray[np.float64] | None


def leave_out(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    picked: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    window: int,
    position: bool,
    to_map: ToMap,
    threads: int,
) -> LeftOut | None:
    """Score some of the images, each as if the model had been fitted without it.

    Parameters
    ----------
    features
        (n, h, w, d) normal features.
    labels
        (n, h, w) index of the nearest C_dist vector.
    picked
        (m,) rows of the flattened features that are C_emb, C_dist first.
    groups
        (m,) C_dist index of each of them.
    window
        p, the side of the position histogram's window.
    position
        Whether to find the scores under the threshold of equation (4) on p(c|x) too.
    to_map
        Makes the maps whose maximum is an image's score.
    threads
        CPU threads; the result does not depend on it.

    Returns
    -------
    LeftOut or None
        None where no image can be left out, as when there is only one.
    """
    count, height, width, dimension = features.shape
    area = height * width
    rows = features.reshape(-1, dimension)
    owner = picked // area
    n_classes = int(groups.max()) + 1
    chosen = [index for index in evenly_spaced(count, IMAGES) if (owner[:n_classes] != index).any()]
    if not chosen:
        return None
    coreset = rows[picked]
    tau = threshold(len(coreset))

    def allowed(index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return what position allows at each patch, and the classes of C_emb, without an image."""
        lost = owner[:n_classes] == index
        left = np.flatnonzero(~lost)
        classes, of_rows = np.delete(labels, index, axis=0), groups.copy()
        orphans = np.flatnonzero(lost[classes.ravel()])
        if len(orphans):
            moved = rows[orphans + area * (orphans >= index * area)]
            classes.ravel()[orphans] = left[nearest(moved, coreset[left], num_threads=1)[0]]
        orphans = np.flatnonzero(lost[groups] & (owner != index))
        if len(orphans):
            of_rows[orphans] = left[nearest(coreset[orphans], coreset[left], num_threads=1)[0]]
        histogram = position_histogram(classes, n_classes, patch=window, num_threads=1)
        return pack(histogram.reshape(area, n_classes) > tau), of_rows

    def scored(index: int) -> tuple[NDArray[np.float32], NDArray[np.float32], float, float]:
        """Return an image's distances, map and score, and its score under the threshold on position."""
        own, others = rows[index * area : (index + 1) * area], owner != index
        _, free = nearest(own, coreset[others], num_threads=1)
        whole = to_map(free.reshape(height, width))
        small, score = whole[np.ix_(_centers(height, len(whole)), _centers(width, len(whole)))], whole.max()
        if not position:
            return free, small, float(score), 0.0
        bits, of_rows = allowed(index)
        bound, _ = max_likelihood(own, coreset[others], of_rows[others], bits, num_threads=1)
        bound = np.where(np.isfinite(bound), bound, free)  # nothing allowed: a map cannot hold infinity
        return free, small, float(score), float(to_map(bound.reshape(height, width)).max())

    found, maps, free, bound = zip(*ordered_map(scored, chosen, threads), strict=True)
    return LeftOut(
        chosen, np.stack(found), np.stack(maps), np.array(free), np.array(bound) if position else None
    )


def _centers(patches: int, size: int) -> NDArray[np.int64]:
    """Return the pixels of a line of `size` in the middle of its patches."""
    return (np.arange(patches) * 2 + 1) * size // (2 * patches)
