"""Which classes occur near each position of some of the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast import _core


def position_sets(
    labels: NDArray[np.uint16],
    images: NDArray[np.int64],
    n_classes: int,
    *,
    patch: int = 9,
    num_threads: int | None = None,
) -> NDArray[np.uint8]:
    """Return where p(c|x) of some of the images is not zero, as :func:`pni_fast.max_likelihood` takes it.

    Parameters
    ----------
    labels
        (n, h, w) uint16 in C order, in [0, n_classes).
    images
        (k,) int64: the images that count; none of them allows nothing anywhere.
    n_classes
        Number of classes, at most 65,536.
    patch
        Odd side of the window around each position whose labels count, clipped at the border.
    num_threads
        As for :func:`pni_fast.nearest`.

    Returns
    -------
    ndarray
        (h·w, ceil(n_classes / 8)) uint8: a bit a class, lowest first.

    Raises
    ------
    ValueError
        An image or one of its labels is out of range, `patch` is even, or there are no labels.
    """
    return _core.position_sets(labels, images, n_classes, patch, num_threads)
