"""The one way from a photograph, or its mask, to what is inspected of it, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.config import Geometry

from .sources import Source


def crop_image(image: Image.Image, geometry: Geometry) -> NDArray[np.uint8]:
    """Return what is inspected of an RGB image, uint8 (height, width, 3); bilinear with antialiasing."""
    resized = image.resize(geometry.resized[::-1], Image.Resampling.BILINEAR)
    return np.array(np.asarray(resized)[geometry.cut])


def read_crop(source: Source, geometry: Geometry) -> NDArray[np.uint8]:
    """Read an image and return what is inspected of it, see `crop_image`.

    Raises
    ------
    DataError
        It cannot be read.
    """
    return crop_image(source.read(geometry.depth, geometry.channels), geometry)


def crop_mask(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.bool_]:
    """Return what is inspected of a (H, W) mask, bool (height, width); see `resize_mask`."""
    return np.array(resize_mask(mask, geometry.resized)[geometry.cut])


def resize_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Bring a (H, W) mask to another shape so that no marked pixel is lost and no region torn.

    Where it is made smaller a pixel is marked that covers any part of a marked one; where it is made larger
    it takes the value under its centre (nearest neighbour).
    """
    rows = _resize_rows(mask, shape[0])
    return np.ascontiguousarray(_resize_rows(rows.T, shape[1]).T)


def _resize_rows(mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    have = len(mask)
    target = np.arange(count)
    if have <= count:
        nearest: NDArray[np.bool_] = mask[(2 * target + 1) * have // (2 * count)]
        return nearest
    start, stop = target * have // count, -(-(target + 1) * have // count)
    found = np.empty((count, mask.shape[1]), dtype=np.bool_)
    for row, (first, last) in enumerate(zip(start, stop, strict=True)):
        np.any(mask[first:last], axis=0, out=found[row])
    return found
