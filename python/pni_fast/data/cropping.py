"""The one way from a photograph, or its mask, to the crop that is inspected (paper section 4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.config import Geometry


def crop_image(image: Image.Image, geometry: Geometry) -> NDArray[np.uint8]:
    """Return the crop of an RGB image, uint8 of shape (crop, crop, 3); bilinear with antialiasing."""
    resized = image.resize((geometry.resize, geometry.resize), Image.Resampling.BILINEAR)
    return np.array(np.asarray(resized)[geometry.cut, geometry.cut])


def crop_mask(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.bool_]:
    """Return the crop of a (H, W) mask, bool of shape (crop, crop); see `resize_mask`."""
    resized = resize_mask(mask, (geometry.resize, geometry.resize))
    return np.array(resized[geometry.cut, geometry.cut])


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
