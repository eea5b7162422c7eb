"""How often each class was seen around each place: counted once, then changed by what is left out.

Without one image of thousands nearly all counts stay as they are; counting the labels of all others again
took much of the time of leaving it out, and a copy of them in every thread.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels.counts import Changes, changed_histogram, changed_sets, window_counts

WIDEST = 33
"""Of windows that are changed label by label: each counts for all places of its window."""


class WindowCounts:
    """Labels within the window around each place.

    Parameters
    ----------
    labels
        (n, h, w) classes.
    n_classes
        K.
    window
        p, the side of the window, clipped at the border.
    """

    def __init__(self, labels: NDArray[np.int64], n_classes: int, window: int) -> None:
        self.labels, self.n_classes, self.window = labels, n_classes, window
        self._counts: NDArray[np.uint32] | None = None
        self._counting = threading.Lock()

    def histogram(
        self, lost: NDArray[np.int64], moved: NDArray[np.int64], now: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return what `position_histogram` says of the labels without some images, float32 (h, w, K).

        Parameters
        ----------
        lost
            Numbers of the images that do not count.
        moved, now
            Places of other images in the flattened labels, and the classes they have instead.
        """
        changes, images = self._changes(lost, moved, now), len(self.labels) - len(lost)
        return changed_histogram(self._whole(), changes, images, patch=self.window, num_threads=1)

    def sets(
        self, lost: NDArray[np.int64], moved: NDArray[np.int64], now: NDArray[np.int64], tau: np.float32
    ) -> NDArray[np.uint8]:
        """Return where that histogram is above `tau`, packed bits (h·w, ceil(K / 8))."""
        changes, images = self._changes(lost, moved, now), len(self.labels) - len(lost)
        return changed_sets(self._whole(), changes, images, float(tau), patch=self.window, num_threads=1)

    def _changes(self, lost: NDArray[np.int64], moved: NDArray[np.int64], now: NDArray[np.int64]) -> Changes:
        area = self.labels[0].size
        own = self.labels[lost].reshape(-1)
        before = self.labels.reshape(-1)[moved]
        places = np.concatenate([np.tile(np.arange(area), len(lost)), moved % area, moved % area])
        by = np.repeat(np.array([-1, 1], dtype=np.int32), [len(own) + len(moved), len(moved)])
        return Changes(places, np.concatenate([own, before, now]), by)

    def _whole(self) -> NDArray[np.uint32]:
        with self._counting:
            if self._counts is None:
                self._counts = window_counts(self.labels, self.n_classes, patch=self.window, num_threads=1)
            return self._counts


def inside(size: int, window: int) -> NDArray[np.int64]:
    """Return how many places of a line lie in the window around each of its places."""
    places, half = np.arange(size), window // 2
    reach: NDArray[np.int64] = np.minimum(places + half + 1, size) - np.maximum(places - half, 0)
    return reach
