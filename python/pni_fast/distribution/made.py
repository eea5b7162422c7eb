"""Defects made in feature space: a window of an image's map that belongs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

MadeDefects: TypeAlias = Callable[[int, int], Mapping[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]]
"""From an image's number and its place among those tried to Φ (h·w, d) and mask (h, w) of defects drawn in
it, by kind: what takes the backbone."""

ATTEMPTS = 20


def moved(shape: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where every patch comes from once a window of the image lies elsewhere, and the window's mask.

    The move test: a part in the wrong place. The windows overlap by less than half, where there is room.

    Parameters
    ----------
    shape
        (h, w).
    rng
        The only source of chance.

    Returns
    -------
    source
        (h·w,) int64: the patch that each is now.
    mask
        (h, w) bool.
    """
    grid = np.arange(shape[0] * shape[1]).reshape(shape)
    for _ in range(ATTEMPTS):
        rows, columns = _window(shape, rng)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        y = int(rng.integers(0, shape[0] - height + 1))
        x = int(rng.integers(0, shape[1] - width + 1))
        if abs(y - rows.start) > height // 2 or abs(x - columns.start) > width // 2:
            break
    changed, mask = grid.copy(), np.zeros(shape, dtype=bool)
    changed[rows, columns] = grid[y : y + height, x : x + width]
    mask[rows, columns] = True
    return changed.ravel(), mask


def swapped(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the mask (h, w) of a window that another image's window at the same place is put into.

    The swap test: each part is right by itself, and they do not belong together.

    Parameters
    ----------
    shape, rng
        As for :func:`moved`.
    """
    mask = np.zeros(shape, dtype=bool)
    mask[_window(shape, rng)] = True
    return mask


def _window(shape: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a window whose sides are from a sixth to a half of the map's."""
    sizes = [int(rng.integers(max(1, side // 6), max(1, side // 2) + 1)) for side in shape]
    starts = [int(rng.integers(0, side - size + 1)) for side, size in zip(shape, sizes, strict=True)]
    rows, columns = (slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return rows, columns
