"""Whether an engine gives what PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALLOWED = 1e-4
"""Relative difference in float32: sums of thousands of products in another order differ by about 1e-6."""


def refusal(engine: str, difference: float) -> str:
    """Return the line that refuses an engine's features, by their largest relative difference."""
    return (
        f"engine {engine} gives features that differ from those of torch by {difference:.1e} of the largest, "
        f"at most {ALLOWED:g} is allowed; use engine torch"
    )


@dataclass(frozen=True)
class Agreement:
    """How far features differ, relative to those of PyTorch.

    Parameters
    ----------
    norm
        Norm of the difference by the norm of the features.
    largest
        Largest difference by the largest feature.
    """

    norm: float
    largest: float

    @property
    def holds(self) -> bool:
        """Whether both are within `ALLOWED`; NaN is not."""
        return self.norm <= ALLOWED and self.largest <= ALLOWED


def agreement(
    engine: Callable[[Any], Any], exact: Callable[[Any], Any], crops: NDArray[np.uint8]
) -> Agreement:
    """Hold an engine against PyTorch on real crops.

    Parameters
    ----------
    engine
        In float32.
    exact
        What it is held against, from the same crops to the same features.
    crops
        uint8 (b, H, W, 3), a few.
    """
    expected = exact(crops).astype(np.float64)
    difference = np.abs(engine(crops) - expected)
    norm, largest = np.linalg.norm(expected), np.abs(expected).max()
    tiny = np.finfo(np.float64).tiny
    return Agreement(
        float(np.linalg.norm(difference) / max(norm, tiny)), float(difference.max() / max(largest, tiny))
    )
