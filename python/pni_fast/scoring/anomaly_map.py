"""From a grid of patch scores to the anomaly map: bilinear to the crop's size, then Gaussian smoothing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels.maps import enlarge

TRUNCATE = 4.0
"""The Gaussian is cut off at this many standard deviations, as in scipy.ndimage."""


def gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    """Return the (size, size) matrix that smooths a signal of `size` samples, mirrored at its ends.

    It is that of ``scipy.ndimage.gaussian_filter1d`` in its mode "reflect": d c b a | a b c d | d c b a.
    """
    radius = int(TRUNCATE * sigma + 0.5)
    steps = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * steps.astype(np.float64) ** 2)
    weights /= weights.sum()
    to = np.arange(size)
    smooth = np.zeros((size, size))
    for step, weight in zip(steps, weights, strict=True):
        place = (to + step) % (2 * size)
        smooth[to, np.minimum(place, 2 * size - 1 - place)] += weight
    return smooth


def bilinear(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return bilinear interpolation with half-pixel centres of `source` samples to `target`.

    Returns
    -------
    first, second
        (target,) the two samples that each result lies between.
    share
        (target,) how much of the second is in it.
    """
    place = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    first = np.minimum(place.astype(np.int64), source - 1)
    return first, np.minimum(first + 1, source - 1), place - first


@lru_cache(maxsize=4)
def enlarging(source: int, target: int, sigma: float) -> NDArray[np.float32]:
    """Return the (target, source) matrix of bilinear interpolation, then smoothing where there is a sigma.

    It is kept, and not to be changed.
    """
    smooth = gaussian(target, sigma) if sigma > 0 else np.eye(target)
    columns = np.zeros((source, target))
    # Term by term: a library's product of matrices has another last bit on another processor.
    for middle, first, second, share in zip(smooth.T, *bilinear(source, target), strict=True):
        columns[first] += (1.0 - share) * middle
        columns[second] += share * middle
    matrix = np.ascontiguousarray(columns.T, dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


class Upsampler:
    """Bilinear resizing and Gaussian smoothing of (h, w) score grids to (H, W), as two small products.

    Both steps are linear and act on rows and columns apart, so the map is ``A_h · S · A_wᵀ`` with matrices
    fixed by the sizes (paper section 3.1: bilinear, then a Gaussian with σ = 8). Smoothing after resizing on
    the full-size grid gives the same map at a hundred times the arithmetic.

    Parameters
    ----------
    grid
        (h, w) of the scores.
    shape
        (H, W) of the map in pixels.
    sigma
        Standard deviation of the Gaussian in pixels of the map; 0 leaves it out.
    """

    def __init__(self, grid: tuple[int, int], shape: tuple[int, int], sigma: float) -> None:
        self._rows = enlarging(grid[0], shape[0], sigma)
        self._columns = np.ascontiguousarray(enlarging(grid[1], shape[1], sigma).T)

    def __call__(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the float32 map (H, W) of a float32 grid (h, w)."""
        return enlarge(np.ascontiguousarray(scores), self._rows, self._columns)
