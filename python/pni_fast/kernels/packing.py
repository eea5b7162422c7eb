"""Allowed classes as bits, the form in which `max_likelihood` takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pack(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (…, K) booleans as (…, ceil(K/8)) bytes, lowest bit first."""
    return np.packbits(allowed, axis=-1, bitorder="little")
