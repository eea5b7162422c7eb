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
    """Return the crop of a (H, W) mask, bool of shape (crop, crop); nearest neighbour."""
    resized = Image.fromarray(mask).resize((geometry.resize, geometry.resize), Image.Resampling.NEAREST)
    return np.array(np.asarray(resized, dtype=np.bool_)[geometry.cut, geometry.cut])
