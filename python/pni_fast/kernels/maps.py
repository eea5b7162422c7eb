"""Small grids brought to the size of a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast import _core


def enlarge(
    grid: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``rows @ grid @ columns``, the same bits on any machine, by the calling thread alone.

    A library for products starts threads of its own, which spin beside ours, and sums in an order of its own.

    Parameters
    ----------
    grid
        (h, w) float32 in C order, finite.
    rows
        (H, h) float32 in C order, finite.
    columns
        (w, W) float32 in C order, finite.

    Returns
    -------
    ndarray
        (H, W) float32.

    Raises
    ------
    ValueError
        The sides do not fit.
    """
    return _core.enlarge(grid, rows, columns)
