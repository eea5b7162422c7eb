"""The one way from a photograph, or its mask, to the crop that is inspected (paper section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import PniError


@dataclass(frozen=True)
class Geometry:
    """Resize both sides to `resize` pixels, then cut the central `crop` × `crop` square.

    The aspect ratio is not kept: the paper resizes to 512×512 and crops 480×480 "to remove negligible
    boundary pixels".

    Parameters
    ----------
    resize, crop
        Side lengths in pixels, ``1 <= crop <= resize``.

    Raises
    ------
    PniError
        The sizes are not in that order.
    """

    resize: int = 512
    crop: int = 480

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize:
            raise PniError(f"crop must be between 1 and resize = {self.resize}, got {self.crop}")

    def image(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the crop of an RGB image, uint8 of shape (crop, crop, 3); bilinear with antialiasing."""
        resized = image.resize((self.resize, self.resize), Image.Resampling.BILINEAR)
        return np.array(np.asarray(resized)[self._cut])

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the crop of a (H, W) mask, bool of shape (crop, crop); nearest neighbour."""
        resized = Image.fromarray(mask).resize((self.resize, self.resize), Image.Resampling.NEAREST)
        return np.array(np.asarray(resized, dtype=np.bool_)[self._cut])

    @property
    def _cut(self) -> tuple[slice, slice]:
        start = (self.resize - self.crop) // 2
        return slice(start, start + self.crop), slice(start, start + self.crop)
