"""The final map: a little of the refined one, most of the detector's own (paper section 4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RefinerConfig


def fuse(
    refined: NDArray[np.float32], base: NDArray[np.float32], ratio: float = RefinerConfig.ratio
) -> NDArray[np.float32]:
    """Return ``ratio · refined + (1 − ratio) · base``.

    Parameters
    ----------
    refined
        Ã, float32, values in [0, 1].
    base
        Â, the detector's map normalised by constants fixed when it was fitted, same shape.
    ratio
        Share of the refined map, in [0, 1].

    Returns
    -------
    NDArray[np.float32]
        The final anomaly map, same shape.

    Raises
    ------
    ValueError
        The shapes differ, or the ratio is not in [0, 1].
    """
    if refined.shape != base.shape:
        raise ValueError(f"refined must have the shape of base, {base.shape}, got {refined.shape}")
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"ratio must be in [0, 1], got {ratio}")
    share = np.float32(ratio)
    fused: NDArray[np.float32] = share * refined + (np.float32(1.0) - share) * base
    return fused
