"""Gradient (Perlin) and value noise in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def perlin(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return Perlin noise, float32 of `shape`, values about in [-1, 1].

    Parameters
    ----------
    shape
        Height and width in pixels.
    cells
        Periods of the gradient lattice down and across; each is cut to the pixels there are.
    rng
        Source of the lattice's directions.
    """
    rows, columns = (min(count, pixels) for count, pixels in zip(cells, shape, strict=True))
    angle = rng.uniform(0.0, 2.0 * np.pi, (rows + 1, columns + 1))
    lattice = np.stack((np.sin(angle), np.cos(angle)), axis=-1).astype(np.float32)
    y, row, fade_y = _axis(shape[0], rows)
    x, column, fade_x = _axis(shape[1], columns)

    def corner(down: int, across: int) -> Array:
        # What goes down is worked out for the few columns of the lattice, then taken for the pixels'.
        gradient = lattice[row + down]
        falls = gradient[..., 0] * (y - down)[:, None]
        slopes = np.take(gradient[..., 1], column + across, axis=1) * (x - across)
        corner_of: Array = np.take(falls, column + across, axis=1) + slopes
        return corner_of

    def edge(down: int) -> Array:
        left = corner(down, 0)
        return left + fade_x * (corner(down, 1) - left)

    top, bottom = edge(0), edge(1)
    # Unit gradients give at most sqrt(1/2) in the middle of a cell.
    noise: Array = np.float32(np.sqrt(2.0)) * (top + fade_y[:, None] * (bottom - top))
    return noise


def fractal(shape: tuple[int, int], cells: int, octaves: int, rng: np.random.Generator) -> Array:
    """Return a sum of Perlin octaves, each twice as fine and half as strong, rescaled to [0, 1]."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        count = cells << octave
        total += perlin(shape, (count, count), rng) * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    noise: Array = (total - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return noise


def _axis(pixels: int, cells: int) -> tuple[Array, NDArray[np.intp], Array]:
    """Return the place in its cell, the cell and the fade weight of every pixel along one axis."""
    position = (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(cells / pixels)
    cell = np.minimum(position.astype(np.intp), cells - 1)
    offset = position - cell.astype(np.float32)
    fade = offset**3 * (offset * (offset * 6.0 - 15.0) + 10.0)
    return offset, cell, fade.astype(np.float32)
