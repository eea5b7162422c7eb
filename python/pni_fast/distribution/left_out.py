"""Normal images scored as if the model had never seen them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from pni_fast.data.spacing import evenly_spaced
from pni_fast.kernels import nearest
from pni_fast.kernels.bound import bound_distances
from pni_fast.runtime.threads import ordered_map

from .bank import Bank

ToMap: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From a grid of scores, float32 (h, w), to the anomaly map, float32 (height, width): a linear function."""

Value = TypeVar("Value", bound=np.generic)

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
    bank: Bank, *, position: bool, to_map: ToMap, threads: int, most: int = IMAGES
) -> LeftOut | None:
    """Score some of the images, each as if the model had been fitted without it.

    Parameters
    ----------
    bank
        The training set.
    position
        Whether to find the scores under the threshold of equation (4) on p(c|x) too.
    to_map
        Makes the maps whose maximum is an image's score.
    threads
        CPU threads; the result does not depend on it.
    most
        Most images left out, evenly spaced.

    Returns
    -------
    LeftOut or None
        None where no image can be left out, as when there is only one.
    """
    chosen = [index for index in evenly_spaced(bank.count, most) if bank.can_lose(index)]
    if not chosen:
        return None
    shape = (bank.height, bank.width)

    def scored(index: int) -> tuple[NDArray[np.float32], NDArray[np.float32], float, float]:
        """Return an image's distances, map and score, and its score under the threshold on position."""
        own = bank.of(index)
        others = bank.owner != index
        found, free = nearest(own, bank.coreset[others], num_threads=1)
        whole = to_map(free.reshape(shape))
        small, score = at_patches(whole, shape), float(whole.max())
        if not position:
            return free, small, score, 0.0
        rest = bank.without(index)
        bound = bound_distances(
            own, rest.coreset, rest.groups, bank.position_sets(rest), found, free, num_threads=1
        )
        return free, small, score, float(to_map(bound.reshape(shape)).max())

    distances, maps, free, bound = zip(*ordered_map(scored, chosen, threads), strict=True)
    return LeftOut(
        chosen, np.stack(distances), np.stack(maps), np.array(free), np.array(bound) if position else None
    )


def at_patches(whole: NDArray[Value], shape: tuple[int, int]) -> NDArray[Value]:
    """Return the values of a map or a mask in the middle of each of its patches, (h, w)."""
    return whole[np.ix_(_centers(shape[0], len(whole)), _centers(shape[1], whole.shape[1]))]


def _centers(patches: int, size: int) -> NDArray[np.int64]:
    """Return the pixels of a line of `size` in the middle of its patches."""
    return (np.arange(patches) * 2 + 1) * size // (2 * patches)
