"""The fixed linear maps of an extractor's sizes, as matrices and as windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def windows(size: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each of `target` areas of adaptive average pooling begins and ends, of `size` values."""
    number = np.arange(target)
    return number * size // target, -(-(number + 1) * size // target)


def averaging(size: int, target: int) -> NDArray[np.float64]:
    """Return the (target, size) matrix of adaptive average pooling."""
    start, end = windows(size, target)
    index = np.arange(size)
    inside = (index >= start[:, None]) & (index < end[:, None])
    matrix: NDArray[np.float64] = inside / (end - start)[:, None]
    return matrix
