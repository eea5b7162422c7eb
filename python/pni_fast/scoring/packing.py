"""Allowed classes as bits, packed on whatever device they are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pni_fast.kernels.packing import pack
from pni_fast.runtime.copies import Values

if TYPE_CHECKING:
    from torch import Tensor


def pack_on(allowed: Values) -> Values:
    """Return :func:`pni_fast.kernels.packing.pack` of an array, or of a tensor where it is."""
    return pack(allowed) if isinstance(allowed, np.ndarray) else shifted(allowed)


def shifted(allowed: Tensor) -> Tensor:
    """Return :func:`pack_on` of a tensor, eight classes at a time as the bytes of one integer.

    Of eight bytes that are 0 or 1, shifting by 7·i brings number i to bit i of the lowest one.
    """
    import torch
    import torch.nn.functional as F

    classes = allowed.shape[-1]
    # Converted, not viewed as bytes: up to torch 2.4 at least, torch.compile cannot view booleans.
    words = F.pad(allowed.to(torch.uint8), (0, -classes % 8)).contiguous().view(torch.int64)
    words = words | (words >> 7)
    words = words | (words >> 14)
    words = words | (words >> 28)
    return (words & 0xFF).to(torch.uint8)


def agreed(bits: Values, otherwise: Values) -> Values:
    """Return the classes that are allowed at each position, and `otherwise` where none is."""
    if isinstance(bits, np.ndarray):
        return np.where((bits != 0).any(axis=-1, keepdims=True), bits, otherwise)
    import torch

    assert not isinstance(otherwise, np.ndarray)
    return torch.where((bits != 0).any(dim=-1, keepdim=True), bits, otherwise)
