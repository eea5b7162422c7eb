"""DRÆM: foreign texture where thresholded Perlin noise says so (Zavrtanik et al., ICCV 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .noise import perlin
from .proposal import Proposal, blend
from .textures import Textures

CELLS = 6
"""The noise has 2 to 2**CELLS periods along a side, down and across apart."""
FINE = 16
"""With more periods than this the specks are kept to one part of the image."""
THRESHOLD = 0.5
OPACITY = (0.2, 1.0)


def draem(image: NDArray[np.uint8], rng: np.random.Generator, textures: Textures) -> Proposal:
    """Blend a texture into the image, with random opacity, under a mask of thresholded Perlin noise.

    Parameters
    ----------
    image
        uint8 (H, W, 3).
    rng
        Source of the noise, the texture and the opacity.
    textures
        Where the texture comes from.

    Returns
    -------
    Proposal
        The blended image and the mask.
    """
    shape = image.shape[:2]
    cells = (1 << int(rng.integers(1, CELLS + 1)), 1 << int(rng.integers(1, CELLS + 1)))
    noise = ndimage.rotate(
        perlin(shape, cells, rng), rng.uniform(-90.0, 90.0), reshape=False, order=1, mode="reflect"
    )
    region = noise > THRESHOLD
    if max(cells) > FINE or rng.random() < 0.5:
        region &= _window(shape, rng)
    opacity = np.float32(rng.uniform(*OPACITY))
    return blend(image, textures.sample(shape, rng), region * opacity)


def _window(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return an ellipse: fine noise alone would always cover the whole image with specks."""
    y, x = np.ogrid[0 : shape[0], 0 : shape[1]]
    row, column = rng.uniform(0.1, 0.9, 2) * shape
    down, across = rng.uniform(0.08, 0.35, 2) * shape
    inside: NDArray[np.bool_] = ((y - row) / down) ** 2 + ((x - column) / across) ** 2 <= 1.0
    return inside
