"""Which images stand for all of a set."""

from __future__ import annotations

import numpy as np


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers from 0 to `count` − 1, evenly spaced, first and last included."""
    return [int(number) for number in np.unique(np.linspace(0, count - 1, most).astype(int))]
