"""A map brought to the size that the photograph has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry


def at_original(
    anomaly_map: NDArray[np.float32], geometry: Geometry, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the map of a photograph at its own size, bilinear, 0 where it was cut off.

    Parameters
    ----------
    anomaly_map
        float32 (h, w), of what is inspected.
    geometry
        How the photograph was brought to that.
    size
        Width and height of the photograph.

    Returns
    -------
    ndarray
        float32 (height, width).
    """
    found = anomaly_map
    for axis, length in ((0, size[1]), (1, size[0])):
        resized, kept, start = geometry.resized[axis], geometry.shape[axis], geometry.cut[axis].start
        # The middle of each pixel of the photograph, in pixels of the map.
        place = (np.arange(length) + 0.5) * (resized / length) - 0.5 - start
        inside = (place >= -0.5) & (place < kept - 0.5)
        place = np.clip(place, 0, kept - 1)
        first = np.minimum(place.astype(np.int64), kept - 1)
        second = np.minimum(first + 1, kept - 1)
        share = (place - first).astype(np.float32)
        shape = (-1, 1) if axis == 0 else (1, -1)
        low, high = np.take(found, first, axis), np.take(found, second, axis)
        high -= low
        high *= share.reshape(shape)
        low += high
        if not inside.all():
            low *= inside.reshape(shape)
        found = low
    return found
