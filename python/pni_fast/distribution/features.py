"""The features a distribution is fitted on, wherever they are: an array here, or shares of them elsewhere.

What is needed of them is little: which rows to pick, the label of each, and now and then some images or rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels import greedy_coreset
from pni_fast.runtime.feature_room import in_one_piece, widened
from pni_fast.runtime.threads import ordered_map

from .context import describe

Told: TypeAlias = Callable[[int, int], object]
"""Called with the rows picked so far, and all that are to be."""


@dataclass(frozen=True, eq=False)
class Picked:
    """C_emb among the features.

    Parameters
    ----------
    indices
        (m,) int64: rows, in the order they were picked.
    labels
        (n, h, w) int64: of every patch the nearest of the first vectors, the earliest among equals.
    distances
        (n, h, w) float32: how far that vector is, where it is known.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    distances: NDArray[np.float32] | None = None


class Features(Protocol):
    """Features of n images.

    Attributes
    ----------
    shape
        (n, h, w, d).
    """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return (n, h, w, d)."""

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return patches by their places in all images flattened, float32 (k, d), in any order."""

    def of(self, image: int) -> NDArray[np.float32]:
        """Return Φ of an image, float32 (h·w, d)."""

    def described(self, threads: int, /) -> NDArray[np.float32]:
        """Return what :func:`.context.describe` says of every image, float32 (n, d)."""

    def picked(self, size: int, n_classes: int, threads: int, told: Told) -> Picked:
        """Return the `size` rows of the exact greedy search, and the labels by its first `n_classes`."""


class Held:
    """Features in an array of this process.

    Parameters
    ----------
    array
        (n, h, w, d), float32, or float16 which stands for the float32 it is exactly.
    """

    def __init__(self, array: NDArray[np.floating[Any]]) -> None:
        self.array = in_one_piece(array)
        self._rows = self.array.reshape(-1, array.shape[3])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return (n, h, w, d)."""
        count, height, width, dimension = self.array.shape
        return count, height, width, dimension

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return patches by their places in all images flattened, float32 (k, d)."""
        return widened(self._rows[places])

    def of(self, image: int) -> NDArray[np.float32]:
        """Return Φ of an image, float32 (h·w, d)."""
        return widened(self.array[image]).reshape(-1, self.array.shape[3])

    def described(self, threads: int, /) -> NDArray[np.float32]:
        """Return the descriptor of every image, float32 (n, d)."""
        each = ordered_map(lambda image: describe(self.of(image)), range(len(self.array)), threads)
        return np.stack(list(each))

    def picked(self, size: int, n_classes: int, threads: int, told: Told) -> Picked:
        """Return the rows of the exact greedy search, and the labels."""
        found = greedy_coreset(self._rows, size, assign=n_classes, num_threads=threads, progress=told)
        assert found.labels is not None  # asked for with `assign`, and the distances with them
        assert found.distances is not None
        shape = self.array.shape[:3]
        return Picked(found.indices, found.labels.reshape(shape), found.distances.reshape(shape))


def held(features: NDArray[np.floating[Any]] | Features) -> Features:
    """Return features as they are, or those of an array."""
    return Held(features) if isinstance(features, np.ndarray) else features
