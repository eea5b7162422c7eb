"""CutPaste and CutPaste-scar: a piece of the image itself in the wrong place (Li et al., CVPR 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .colour import jitter
from .proposal import Proposal

AREA = (0.02, 0.15)
"""Share of the image that a pasted rectangle covers."""
ASPECT = 3.3
"""A rectangle is at most this many times as wide as high, or as high as wide."""
SCAR_WIDTH = (2.0, 16.0)
SCAR_LENGTH = (10.0, 40.0)
"""Sides of a scar in pixels of an image whose shorter side is 256."""
SCAR_ANGLE = 45.0
"""Largest turn of a scar, degrees."""
JITTER = 0.1


def cutpaste(image: NDArray[np.uint8], rng: np.random.Generator) -> Proposal:
    """Paste a rectangle, its colours changed a little, somewhere else in the image.

    Parameters
    ----------
    image
        uint8 (H, W, 3).
    rng
        Source of the rectangle, its two places and its colours.

    Returns
    -------
    Proposal
        The image with the patch, and the rectangle it covers.
    """
    height, width = image.shape[:2]
    area = rng.uniform(*AREA) * height * width
    aspect = float(np.exp(rng.uniform(-np.log(ASPECT), np.log(ASPECT))))
    rows = int(np.clip(round(np.sqrt(area / aspect)), 2, height - 1))
    columns = int(np.clip(round(np.sqrt(area * aspect)), 2, width - 1))
    patch = jitter(_take(image, rows, columns, rng), JITTER, rng)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    altered = image.copy()
    altered[top : top + rows, left : left + columns] = patch
    region = np.zeros((height, width), dtype=np.bool_)
    region[top : top + rows, left : left + columns] = True
    return Proposal(altered, region)


def cutpaste_scar(image: NDArray[np.uint8], rng: np.random.Generator) -> Proposal:
    """Paste a long thin strip, its colours changed a little, turned by up to 45 degrees.

    Parameters
    ----------
    image
        uint8 (H, W, 3).
    rng
        Source of the strip, its two places, its turn and its colours.

    Returns
    -------
    Proposal
        The image with the strip, and the turned strip it covers.
    """
    height, width = image.shape[:2]
    unit = min(height, width) / 256.0
    short = int(np.clip(round(rng.uniform(*SCAR_WIDTH) * unit), 2, min(height, width) // 2))
    long = int(np.clip(round(rng.uniform(*SCAR_LENGTH) * unit), 2 * short, min(height, width) - 1))
    rows, columns = (long, short) if rng.random() < 0.5 else (short, long)
    patch = Image.fromarray(jitter(_take(image, rows, columns, rng), JITTER, rng))
    angle = rng.uniform(-SCAR_ANGLE, SCAR_ANGLE)
    turned = patch.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    # The strip's own pixels alone are pasted: beyond them `rotate` fills with black.
    inside = Image.new("L", patch.size, 255).rotate(angle, Image.Resampling.NEAREST, expand=True)
    shape = np.asarray(inside)[:height, :width] > 0
    pixels = np.asarray(turned)[:height, :width]
    rows, columns = shape.shape
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = (slice(top, top + rows), slice(left, left + columns))
    altered = image.copy()
    altered[window][shape] = pixels[shape]
    region = np.zeros((height, width), dtype=np.bool_)
    region[window] = shape
    return Proposal(altered, region)


def _take(image: NDArray[np.uint8], rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    return image[top : top + rows, left : left + columns]
