"""The range that maps of normal images span, and maps brought to it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def map_range(maps: Iterable[NDArray[np.float32]]) -> tuple[float, float]:
    """Return the lowest and highest value of at least one map."""
    lows, highs = zip(*((float(one.min()), float(one.max())) for one in maps), strict=True)
    return min(lows), max(highs)


def normalised(maps: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Return maps with `low` brought to 0 and `high` to 1; maps without a range are only shifted.

    A model that holds every training feature (``coreset_ratio=1``) finds distance 0 everywhere on the images
    that fix its range; its maps then keep their unit.
    """
    scale = np.float32(high - low) if high > low else np.float32(1)
    mapped: NDArray[np.float32] = (maps - np.float32(low)) / scale
    return mapped
