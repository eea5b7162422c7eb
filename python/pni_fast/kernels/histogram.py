"""How often each class occurs near each position of the maps."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pni_fast import _core

from .arguments import as_count, as_integers, as_threads

LARGEST_PATCH = (1 << 31) - 1
"""Wider than any map."""


def position_histogram(
    labels: ArrayLike, n_classes: int, *, patch: int = 9, num_threads: int | None = None
) -> NDArray[np.float32]:
    """Count how often each class occurs near each position: p(c|x), Algorithm 1 of the paper.

    Parameters
    ----------
    labels
        (images, h, w) integers in [0, n_classes).
    n_classes
        Number of classes.
    patch
        Odd side of the window around each position whose labels count, clipped at the border.
    num_threads
        Threads to use; see the module.

    Returns
    -------
    numpy.ndarray
        (h, w, n_classes) float32; each position sums to 1.

    Raises
    ------
    ValueError
        A label out of range, an empty array, an even `patch`, more classes than an array can have.
    TypeError
        An argument of the wrong kind.
    MemoryError
        No room for an array of that size.
    """
    stack = as_integers(labels, "labels", 3)
    if 0 in stack.shape:
        raise ValueError(f"labels must have at least one image, row and column, got shape {stack.shape}")
    positions = stack.shape[1] * stack.shape[2]
    count = as_count(n_classes, "n_classes", 1, sys.maxsize // (4 * positions))
    side = as_count(patch, "patch", 1, LARGEST_PATCH)
    return _core.position_histogram(stack, count, side, as_threads(num_threads))
