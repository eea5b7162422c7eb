"""The features of a large picture from those of its tiles: one grid, as if there were none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pni_fast.config.tiling import Tile, Tiling
from pni_fast.runtime.copies import Values


class TiledExtraction:
    """What runs an extractor tile by tile; in memory are the features, and one tile beside them.

    Parameters
    ----------
    extract
        Φ, (b, h, w, d), of tiles (b, H, W, 3), see :data:`.stored.Extract`.
    tiling
        Where they lie. Their starts are multiples of the coarsest stride, so that a patch of a tile is one of
        the picture's.
    """

    def __init__(self, extract: Callable[[Values], Values], tiling: Tiling) -> None:
        self._extract, self._tiling = extract, tiling

    def __call__(self, crops: Values) -> Values:
        """Return the features of pictures, (b, H, W, 3); each from the tile that it lies most central in."""
        tiling = self._tiling
        whole: Any = None
        height, width = tiling.tile
        for down in tiling.along(0):
            for across in tiling.along(1):
                part = crops[:, down.start : down.start + height, across.start : across.start + width]
                if isinstance(part, np.ndarray):
                    part = np.ascontiguousarray(part)
                found: Any = self._extract(part)
                rows, columns = height // found.shape[1], width // found.shape[2]
                if whole is None:
                    shape = (tiling.shape[0] // rows, tiling.shape[1] // columns)
                    whole = _empty_like(found, (len(crops), *shape, found.shape[3]))
                to_rows, of_rows = _taken(down, rows)
                to_columns, of_columns = _taken(across, columns)
                whole[:, to_rows, to_columns] = found[:, of_rows, of_columns]
        features: Values = whole  # every side has a tile
        return features


def _taken(tile: Tile, stride: int) -> tuple[slice, slice]:
    """Return the patches of the picture that are taken of a tile, and which of its own these are."""
    first, last, start = tile.first // stride, tile.last // stride, tile.start // stride
    return slice(first, last), slice(first - start, last - start)


def _empty_like(values: Any, shape: tuple[int, ...]) -> Any:
    """Return memory for more of the same, where these are."""
    if isinstance(values, np.ndarray):
        return np.empty(shape, dtype=values.dtype)
    return values.new_empty(shape)
