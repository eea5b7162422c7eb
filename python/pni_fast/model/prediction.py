"""What a model says of one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Parameters
    ----------
    name
        File name, path relative to the folder given, or position in the iterable.
    path
        The file, None for images handed over in memory.
    score
        Anomaly score of the image: the maximum of its map, or the mean of its largest values where the
        setting `image_score` says so.
    anomaly_map
        float32 (crop, crop), distance to the nearest normal patch that position and surroundings allow; of an
        ensemble the mean of its members' maps, each normalised so that normal images span [0, 1].
    image
        uint8 (crop, crop, 3), the part of the image that the map covers.
    """

    name: str
    path: Path | None
    score: float
    anomaly_map: NDArray[np.float32]
    image: NDArray[np.uint8]


def image_score(anomaly_map: NDArray[np.float32], share: float) -> float:
    """Return the score of an image.

    Parameters
    ----------
    anomaly_map
        (h, w).
    share
        0: the maximum; otherwise the mean of this share of the pixels, at least one, the largest of them.
    """
    if share == 0:
        return float(anomaly_map.max())
    count = max(1, round(share * anomaly_map.size))
    largest = np.partition(anomaly_map, -count, axis=None)[-count:]
    # Exact, since the order that a partition leaves is not the same on every machine.
    return math.fsum(largest.tolist()) / count
