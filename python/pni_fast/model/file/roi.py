"""What a model file holds of the part that is inspected: the tensor ``roi``, and the size of the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError
from pni_fast.runtime.tensor_values import Place

from .header import short

ROI = "roi"

LARGEST = 10**6
"""Pixels of a side of an image."""


def check_roi(places: Mapping[str, Place], shape: tuple[int, int]) -> set[str]:
    """Return the name of the mask's tensor, where there is one and it fits.

    Raises
    ------
    PniError
        It is of another type or shape.
    """
    if ROI not in places:
        return set()
    place = places[ROI]
    if place.shape != shape or place.dtype != "bool":
        raise PniError(f"tensor 'roi' must be bool {shape}, got {place.dtype} {place.shape}")
    return {ROI}


def read_roi(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Return the mask of a file, None where it has none.

    Raises
    ------
    PniError
        It covers nothing.
    """
    if ROI not in arrays:
        return None
    mask: NDArray[np.bool_] = arrays[ROI].view(np.uint8) != 0  # whatever bytes a stranger wrote for true
    if not mask.any():
        raise PniError("tensor 'roi' must cover something")
    return mask


def read_size(said: Any) -> tuple[int, int] | None:
    """Return the size of the images fitted on.

    Raises
    ------
    PniError
        It is none.
    """
    if said is None:
        return None
    pair = isinstance(said, list) and len(said) == 2
    if not pair or not all(type(side) is int and 1 <= side <= LARGEST for side in said):
        raise PniError(f"image_size must be width and height, got {short(said)}")
    return said[0], said[1]
