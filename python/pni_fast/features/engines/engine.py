"""What every engine does."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Crops in, patch features out, on the thread that calls and on no other.

    Any number of threads may call at once. Every image is computed by itself: its bits depend neither on the
    images beside it nor on how many threads there are.
    """

    @property
    def name(self) -> str:
        """Which engine it is, of `pni_fast.config.choices.ENGINES`."""
        ...

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return Φ, float32 (b, h, w, d), of uint8 RGB crops (b, H, W, 3)."""
        ...


def checked_crops(crops: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return crops in C order.

    Parameters
    ----------
    crops
        uint8 (b, H, W, 3).
    shape
        (H, W, 3) of the engine's graph.

    Raises
    ------
    ValueError
        They are of another type or size.
    """
    if crops.dtype != np.uint8 or crops.shape[1:] != shape:
        raise ValueError(
            f"crops must be uint8 (b, {', '.join(map(str, shape))}), got {crops.dtype} {crops.shape}"
        )
    return np.ascontiguousarray(crops)
