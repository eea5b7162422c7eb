"""Where foreign texture comes from: a folder of the user's, photographs inside scikit-image, or noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pni_fast.data import list_images, read_image
from pni_fast.data.depth import depth_of_files
from pni_fast.errors import needs

from .noise import fractal

Rgb = NDArray[np.uint8]


class Textures:
    """A source of RGB texture of any size.

    Parameters
    ----------
    folder
        Images to cut textures from, searched recursively. None: the photographs of brick, gravel and grass
        that ship with scikit-image (CC0), coloured at random, and procedural noise, half each.

    Raises
    ------
    DataError
        The folder is missing or holds no image; a file in it turns out to be broken when it is drawn.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._files = list_images(folder) if folder is not None else []
        self._depth = depth_of_files(self._files)

    def sample(self, shape: tuple[int, int], rng: np.random.Generator) -> Rgb:
        """Return a random texture, uint8 of shape (H, W, 3)."""
        if self._files:
            file = self._files[rng.integers(len(self._files))]
            return _cut(np.asarray(read_image(file, self._depth)), shape, rng)
        if rng.random() < 0.5:
            photograph = _photographs()[rng.integers(len(_photographs()))]
            grey = _cut(np.repeat(photograph[..., None], 3, axis=2), shape, rng)[..., 0]
            return _colour_ramp(grey.astype(np.float32) / 255.0, rng)
        make = PATTERNS[rng.integers(len(PATTERNS))]
        return _colour_ramp(make(shape, rng), rng)


@lru_cache(maxsize=1)
def _photographs() -> tuple[NDArray[np.uint8], ...]:
    needs("skimage", "making defects without textures of your own")
    from skimage import data

    brick, gravel, grass = (np.asarray(getattr(data, name)()) for name in ("brick", "gravel", "grass"))
    return brick, gravel, grass


def _cut(image: Rgb, shape: tuple[int, int], rng: np.random.Generator) -> Rgb:
    """Cut a random window of random scale out of `image`, turned and mirrored, brought to `shape`."""
    height, width = image.shape[:2]
    share = rng.uniform(0.4, 1.0)
    rows, columns = max(1, int(height * share)), max(1, int(width * share))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = np.rot90(image[top : top + rows, left : left + columns], int(rng.integers(4)))
    if rng.random() < 0.5:
        window = window[:, ::-1]
    resized = Image.fromarray(np.ascontiguousarray(window)).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _colour_ramp(values: NDArray[np.float32], rng: np.random.Generator) -> Rgb:
    """Colour values in [0, 1] by a line between two random colours that differ visibly."""
    first = rng.uniform(0.0, 255.0, 3)
    second = rng.uniform(0.0, 255.0, 3)
    if np.abs(first - second).max() < 60.0:
        second = np.where(first < 128.0, first + 90.0, first - 90.0)
    ramp = first + values[..., None] * (second - first)
    return np.clip(ramp, 0, 255).astype(np.uint8)


def _clouds(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    return fractal(shape, int(rng.integers(2, 9)), 4, rng)


def _grain(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Isotropic or brushed grain: white noise blurred by a different length along each axis."""
    noise = rng.random(shape, dtype=np.float32)
    blurred = ndimage.gaussian_filter(noise, rng.uniform(0.4, 4.0, 2), mode="reflect")
    spread = float(blurred.std()) or 1.0
    grain: NDArray[np.float32] = np.clip(0.5 + 0.25 * (blurred - blurred.mean()) / spread, 0.0, 1.0)
    return grain.astype(np.float32)


def _stripes(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Stripes, or a weave where two directions cross, bent by noise."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    bend = fractal(shape, 3, 2, rng) * rng.uniform(0.0, 6.0)
    waves = np.zeros(shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, 3))):
        angle, period = rng.uniform(0.0, np.pi), rng.uniform(4.0, 0.2 * min(shape) + 4.0)
        phase = (x * np.cos(angle) + y * np.sin(angle)) * (2.0 * np.pi / period) + bend
        waves = np.maximum(waves, (0.5 + 0.5 * np.sin(phase)).astype(np.float32))
    return waves


def _cells(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Distance to the nearest of random points: pebbles, scales, crystals."""
    points = np.ones(shape, dtype=np.bool_)
    count = int(rng.integers(8, 80))
    points[rng.integers(shape[0], size=count), rng.integers(shape[1], size=count)] = False
    distance = ndimage.distance_transform_edt(points)
    cells: NDArray[np.float32] = (distance / max(float(distance.max()), 1.0)).astype(np.float32)
    return cells


PATTERNS: tuple[Callable[[tuple[int, int], np.random.Generator], NDArray[np.float32]], ...] = (
    _clouds,
    _grain,
    _stripes,
    _cells,
)
"""Procedural textures: (H, W) float32 in [0, 1]."""
