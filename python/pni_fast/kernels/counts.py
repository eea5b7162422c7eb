"""Labels counted once around each position, then changed by what is left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pni_fast import _core


class Changes(NamedTuple):
    """Labels taken from what was counted, or added to it, each (c,).

    Attributes
    ----------
    places
        int64: positions in an image, row by row.
    classes
        int64: the class at each.
    by
        int32: by how much each changes the counts of all windows that hold it.
    """

    places: NDArray[np.int64]
    classes: NDArray[np.int64]
    by: NDArray[np.int32]


def window_counts(
    labels: NDArray[np.int64], n_classes: int, *, patch: int = 9, num_threads: int | None = None
) -> NDArray[np.uint32]:
    """Count the labels of each class near each position; see :func:`pni_fast.position_histogram`.

    Parameters
    ----------
    labels
        (n, h, w) int64 in C order, in [0, n_classes).
    n_classes
        Number of classes.
    patch
        Odd side of the window around each position whose labels count, clipped at the border.
    num_threads
        As for :func:`pni_fast.nearest`.

    Returns
    -------
    ndarray
        (h, w, n_classes) uint32.

    Raises
    ------
    ValueError
        A label is out of range, `patch` is even, or there are no labels.
    """
    return _core.window_counts(labels, n_classes, patch, num_threads)


def changed_histogram(
    counts: NDArray[np.uint32],
    changes: Changes,
    images: int,
    *,
    patch: int = 9,
    num_threads: int | None = None,
) -> NDArray[np.float32]:
    """Return p(c|x) of the images left, float32 (h, w, n_classes).

    Parameters
    ----------
    counts
        What `window_counts` found with the same `patch`.
    changes
        What is no longer as it was counted.
    images
        How many images are left.
    patch, num_threads
        As for `window_counts`.

    Raises
    ------
    ValueError
        A place or a class of a change is out of range, or `patch` is even.
    """
    return _core.changed_histogram(counts, changes, images, patch, num_threads)


def changed_sets(
    counts: NDArray[np.uint32],
    changes: Changes,
    images: int,
    tau: float,
    *,
    patch: int = 9,
    num_threads: int | None = None,
) -> NDArray[np.uint8]:
    """Return where `changed_histogram` is above `tau`, as :func:`pni_fast.max_likelihood` takes it.

    No share is computed: each position has a highest count that is not above.

    Parameters
    ----------
    counts, changes, images, patch, num_threads
        As for `changed_histogram`.
    tau
        The threshold, from 0 to 1, of float32.

    Returns
    -------
    ndarray
        (h·w, ceil(n_classes / 8)) uint8: a bit a class, lowest first.

    Raises
    ------
    ValueError
        As for `changed_histogram`, or `tau` is out of range.
    """
    return _core.changed_sets(counts, changes, images, tau, patch, num_threads)
