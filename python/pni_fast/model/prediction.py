"""What a model says of one image."""

from __future__ import annotations

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
        Anomaly score of the image: the maximum of its map.
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
