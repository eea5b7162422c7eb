"""Context, p(c_dist | x, alike images): the position histogram over the training images most like this one.

A 9×9 neighborhood lies inside the receptive field of its own center and says little of what belongs there.
The whole image can: which of the normal images is it like? A class is allowed at x where one of the alike
images has it within the window of x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError
from pni_fast.kernels import greedy_coreset
from pni_fast.kernels.sets import position_sets

MOST_BYTES = 64_000_000
"""Of labels and descriptors in a model file."""

LARGEST_DESCRIPTOR = 1e15
"""A mean of features: the sum of a thousand squares must have a float32."""


@dataclass(frozen=True, eq=False)
class Context:
    """Label maps and descriptors of normal images.

    Parameters
    ----------
    labels
        (n, h, w) uint16: the nearest C_dist vector of every patch.
    descriptors
        (n, d) float32: the mean of Φ over each image's map.
    center, spread
        (d,) float32: mean and standard deviation of the descriptors of all training images; 1 where all are
        equal.
    images
        k: how many alike images count; all, where there are fewer.
    window
        p, the side of the window around x.
    n_classes
        K = |C_dist|.
    names
        What the n images are called, in the order of `labels`.

    Raises
    ------
    PniError
        A size does not fit the others, or a number is none that can be worked with.
    """

    labels: NDArray[np.uint16]
    descriptors: NDArray[np.float32]
    center: NDArray[np.float32]
    spread: NDArray[np.float32]
    images: int
    window: int
    n_classes: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count, dimension = self.descriptors.shape
        sized = self.labels.ndim == 3 and len(self.labels) == count and self.labels.size > 0
        if not sized or self.center.shape != (dimension,) or self.spread.shape != (dimension,):
            raise PniError(
                f"context must have labels (n, h, w) and descriptors (n, d) of one n, "
                f"got {self.labels.shape} and {self.descriptors.shape}"
            )
        if self.labels.max() >= self.n_classes:
            raise PniError(f"context labels must be below {self.n_classes}, got {self.labels.max()}")
        for name in ("descriptors", "center", "spread"):
            values = getattr(self, name)
            if not -LARGEST_DESCRIPTOR <= values.min() <= values.max() <= LARGEST_DESCRIPTOR:
                raise PniError(f"context {name} must hold numbers up to {LARGEST_DESCRIPTOR}")
        if not self.spread.min() > 0:
            raise PniError(f"context spread must be positive, got {self.spread.min()}")
        if self.names and len(self.names) != count:
            raise PniError(f"context must name each of its {count} images, got {len(self.names)} names")

    @classmethod
    def of(
        cls,
        labels: NDArray[np.integer],
        descriptors: NDArray[np.float32],
        *,
        kept: NDArray[np.int64],
        images: int,
        window: int,
        n_classes: int,
        names: tuple[str, ...] = (),
    ) -> Context:
        """Return the context of a training set.

        Parameters
        ----------
        labels
            (k, h, w) classes of the images to keep.
        descriptors
            (n, d) of all, see :func:`describe`.
        kept
            Numbers of the images to keep, see :func:`covering`.
        images, window, n_classes, names
            As for the class, `names` for all n.
        """
        center, spread = _standard(descriptors)
        return cls(
            np.ascontiguousarray(labels.astype(np.uint16)),
            np.ascontiguousarray(descriptors[kept]),
            center.astype(np.float32),
            spread.astype(np.float32),
            images,
            window,
            n_classes,
            tuple(names[index] for index in kept) if names else (),
        )

    @cached_property
    def _descriptors(self) -> NDArray[np.float64]:
        return self.descriptors.astype(np.float64)

    def alike(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the numbers of the k images most like one, int64, the most alike first.

        Parameters
        ----------
        rows
            Φ of the image, float32 (h·w, d).
        """
        differences = (self._descriptors - describe(rows)) / self.spread
        order = np.argsort((differences**2).sum(axis=1), kind="stable")
        return order[: self.images].astype(np.int64)

    def allowed(self, rows: NDArray[np.float32], threads: int) -> NDArray[np.uint8]:
        """Return the classes allowed at every position of an image, packed bits (h·w, ceil(K / 8))."""
        return position_sets(
            self.labels, self.alike(rows), self.n_classes, patch=self.window, num_threads=threads
        )


def covering(descriptors: NDArray[np.float32], area: int, most: int, threads: int) -> NDArray[np.int64]:
    """Return the numbers of the images a model keeps, in order: of many, those that cover all.

    Parameters
    ----------
    descriptors
        (n, d), see :func:`describe`.
    area
        h·w, labels of one image.
    most
        Images kept at most; fewer where they would take more than 64 MB.
    threads
        CPU threads; the result does not depend on them.
    """
    room = max(2, min(most, MOST_BYTES // (2 * area + 4 * descriptors.shape[1])))
    if len(descriptors) <= room:
        return np.arange(len(descriptors))
    center, spread = _standard(descriptors)
    standard = ((descriptors - center) / spread).astype(np.float32)
    return np.sort(greedy_coreset(standard, room, num_threads=threads).indices)


def _standard(descriptors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation by column; 1 where all are equal but for rounding."""
    center, spread = descriptors.mean(0, dtype=np.float64), descriptors.std(0, dtype=np.float64)
    spread[spread < 1e-6 * np.abs(center) + 1e-12] = 1.0
    return center, spread


def describe(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the descriptor of an image, float32 (d,): the mean of its features Φ, float32 (h·w, d)."""
    mean: NDArray[np.float32] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean
