"""From a grid of patch scores to the anomaly map: bilinear to the crop's size, then Gaussian smoothing."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

TRUNCATE = 4.0
"""The Gaussian is cut off at this many standard deviations, as in scipy.ndimage."""


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    """Return the (size, size) matrix that smooths a signal of `size` samples, mirrored at its ends."""
    from scipy.ndimage import gaussian_filter1d

    smooth: NDArray[np.float64] = gaussian_filter1d(
        np.eye(size), sigma, axis=0, mode="reflect", truncate=TRUNCATE
    )
    return smooth


def _bilinear(source: int, target: int) -> NDArray[np.float64]:
    """Return the (target, source) matrix of bilinear interpolation with half-pixel centres."""
    eye = torch.eye(source, dtype=torch.float64)[None]
    return F.interpolate(eye, size=target, mode="linear", align_corners=False)[0].T.numpy()


class Upsampler:
    """Bilinear resizing and Gaussian smoothing of (h, w) score grids to (size, size), as two small products.

    Both steps are linear and act on rows and columns apart, so the map is ``A_h · S · A_wᵀ`` with matrices
    fixed by the sizes (paper section 3.1: bilinear, then a Gaussian with σ = 8). Smoothing after resizing on
    the full-size grid gives the same map at a hundred times the arithmetic.

    Parameters
    ----------
    height, width
        Size of the score grid.
    size
        Side of the map in pixels.
    sigma
        Standard deviation of the Gaussian in pixels of the map; 0 leaves it out.
    """

    def __init__(self, height: int, width: int, size: int, sigma: float) -> None:
        smooth = _gaussian(size, sigma) if sigma > 0 else np.eye(size)
        self._rows = torch.from_numpy(smooth @ _bilinear(height, size)).float()
        self._columns = torch.from_numpy(_bilinear(width, size).T @ smooth.T).float()

    def __call__(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the float32 map (size, size) of a float32 grid (h, w)."""
        return (self._rows @ torch.from_numpy(scores) @ self._columns).numpy()
