"""How often each class was seen around each place: counted once, then changed by what is left out.

Without one image of thousands nearly all counts stay as they are; counting the labels of all others again
took much of the time of leaving it out, and a copy of them in every thread.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels import position_histogram

EXACT = 1 << 22
"""Labels in a window up to which a share in float32 gives their number back."""

WIDEST = 33
"""Of windows that are changed label by label: each counts for all places of its window."""

AT_ONCE = 1 << 10
"""Labels whose windows are worked out together."""


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
        self._counts: NDArray[np.int32] | None = None
        self._counting = threading.Lock()
        height, width = labels.shape[1:]
        self.area = np.outer(inside(height, window), inside(width, window))

    def histogram(
        self,
        lost: NDArray[np.int64],
        moved: NDArray[np.int64],
        now: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return what `position_histogram` says of the labels without some images, float32 (h, w, K).

        Parameters
        ----------
        lost
            Numbers of the images that do not count.
        moved, now
            Places of other images in the flattened labels, and the classes they have instead.
        """
        counts = self._whole().copy()
        size = self.area.size
        flat = self.labels.reshape(-1)
        for image in lost:
            own = np.arange(size) + image * size
            self._change(counts, own, flat[own], -1)
        self._change(counts, moved, flat[moved], -1)
        self._change(counts, moved, now, 1)
        shares = np.empty(counts.shape, dtype=np.float32)
        for row, total in enumerate(self.area * (len(self.labels) - len(lost))):
            shares[row] = counts[row] / total[:, None].astype(np.float64)
        return shares

    def _whole(self) -> NDArray[np.int32]:
        with self._counting:
            if self._counts is None:
                self._counts = np.zeros((*self.area.shape, self.n_classes), dtype=np.int32)
                step = max(1, EXACT // self.window**2)
                for start in range(0, len(self.labels), step):
                    part = self.labels[start : start + step]
                    shares = position_histogram(part, self.n_classes, patch=self.window, num_threads=1)
                    for row, total in enumerate(self.area * len(part)):
                        self._counts[row] += np.rint(shares[row] * total[:, None]).astype(np.int32)
            return self._counts

    def _change(
        self, counts: NDArray[np.int32], places: NDArray[np.int64], classes: NDArray[np.int64], by: int
    ) -> None:
        """Add a number to the counts of classes wherever a window holds their places."""
        (height, width), half = self.area.shape, self.window // 2
        offsets = np.arange(-half, half + 1)
        flat = counts.reshape(-1)
        for start in range(0, len(places), AT_ONCE):
            rows, columns = np.divmod(places[start : start + AT_ONCE] % self.area.size, width)
            to_row = rows[:, None, None] + offsets[:, None]
            to_column = columns[:, None, None] + offsets
            there = (to_row >= 0) & (to_row < height) & (to_column >= 0) & (to_column < width)
            to = (to_row * width + to_column) * self.n_classes + classes[start : start + AT_ONCE, None, None]
            np.add.at(flat, to[there], np.int32(by))  # an int of Python is forty times slower


def inside(size: int, window: int) -> NDArray[np.int64]:
    """Return how many places of a line lie in the window around each of its places."""
    places, half = np.arange(size), window // 2
    reach: NDArray[np.int64] = np.minimum(places + half + 1, size) - np.maximum(places - half, 0)
    return reach
