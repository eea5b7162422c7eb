"""The coreset without some of its images, exactly and without a second fit.

Of an image left out nothing stays behind: its features leave C_emb and C_dist, whatever was nearest to one of
its C_dist vectors (patches of the other images, rows of C_emb) goes to the nearest of those that are left,
and p(c|x) is counted again from the other images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels import nearest, position_histogram
from pni_fast.kernels.packing import pack
from pni_fast.runtime.feature_room import widened

from .threshold import threshold


@dataclass(frozen=True, eq=False)
class Rest:
    """What is left without some images.

    Parameters
    ----------
    coreset, groups
        C_emb without their rows, and the C_dist index of each.
    labels
        (n', h, w) C_dist index of every patch of the other images.
    kept
        (n',) int64: their numbers.
    owner
        The image that each row of `coreset` is of.
    """

    coreset: NDArray[np.float32]
    groups: NDArray[np.int64]
    labels: NDArray[np.int64]
    kept: NDArray[np.int64]
    owner: NDArray[np.int64]


class Bank:
    """C_emb with the image that each of its vectors is of.

    Parameters
    ----------
    features
        (n, h, w, d) normal features, float32 or float16.
    labels
        (n, h, w) index of the nearest C_dist vector.
    picked
        (m,) rows of the flattened features that are C_emb, C_dist first.
    groups
        (m,) C_dist index of each of them.
    window
        p, the side of the position histogram's window.

    Attributes
    ----------
    left_out : dict
        By number of an image that was scored without itself, and by condition, the distance of each of its
        patches, float32 (h·w,): whoever finds them puts them here, so that nobody has to again.
    """

    def __init__(
        self,
        features: NDArray[np.floating[Any]],
        labels: NDArray[np.int64],
        picked: NDArray[np.int64],
        groups: NDArray[np.int64],
        window: int,
    ) -> None:
        self.count, self.height, self.width, dimension = features.shape
        self.area = self.height * self.width
        self.rows = features.reshape(-1, dimension)
        self.labels, self.groups, self.window = labels, groups, window
        self.owner = picked // self.area
        self.coreset = widened(self.rows[picked])
        self.n_classes = int(groups.max()) + 1
        self.left_out: dict[int, Mapping[str, NDArray[np.float32]]] = {}

    def of(self, image: int) -> NDArray[np.float32]:
        """Return Φ of an image, float32 (h·w, d)."""
        return widened(self.rows[image * self.area : (image + 1) * self.area])

    def can_lose(self, *images: int) -> bool:
        """Whether anything of C_dist is left without these images."""
        return bool((~np.isin(self.owner[: self.n_classes], images)).any())

    def without(self, *images: int) -> Rest:
        """Return what is left without these images, which :meth:`can_lose` allows."""
        lost = np.isin(self.owner[: self.n_classes], images)
        left = np.flatnonzero(~lost)
        kept = np.setdiff1d(np.arange(self.count), images)
        classes, groups = self.labels[kept], self.groups.copy()
        orphans = np.flatnonzero(lost[classes.ravel()])
        if len(orphans):
            moved = widened(self.rows[kept[orphans // self.area] * self.area + orphans % self.area])
            classes.ravel()[orphans] = left[nearest(moved, self.coreset[left], num_threads=1)[0]]
        stays = ~np.isin(self.owner, images)
        orphans = np.flatnonzero(lost[groups] & stays)
        if len(orphans):
            groups[orphans] = left[nearest(self.coreset[orphans], self.coreset[left], num_threads=1)[0]]
        return Rest(self.coreset[stays], groups[stays], classes, kept, self.owner[stays])

    def position_sets(self, rest: Rest) -> NDArray[np.uint8]:
        """Return what the threshold on p(c|x) of the other images allows, packed bits (h·w, ceil(K / 8))."""
        histogram = position_histogram(rest.labels, self.n_classes, patch=self.window, num_threads=1)
        return pack(histogram.reshape(self.area, self.n_classes) > threshold(len(rest.coreset)))
