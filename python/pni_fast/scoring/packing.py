"""Allowed classes as bits, packed on whatever device they are on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pni_fast.kernels.packing import pack


def pack_on(allowed: Tensor) -> Tensor:
    """Return :func:`pni_fast.kernels.packing.pack` of a tensor on its device."""
    if allowed.device.type == "cpu" and not torch.compiler.is_compiling():  # NumPy is faster there
        return torch.from_numpy(pack(allowed.numpy()))
    return shifted(allowed)


def shifted(allowed: Tensor) -> Tensor:
    """Return :func:`pack_on` of a tensor, eight classes at a time as the bytes of one integer.

    Of eight bytes that are 0 or 1, shifting by 7·i brings number i to bit i of the lowest one.
    """
    classes = allowed.shape[-1]
    # Converted, not viewed as bytes: up to torch 2.4 at least, torch.compile cannot view booleans.
    words = F.pad(allowed.to(torch.uint8), (0, -classes % 8)).contiguous().view(torch.int64)
    words = words | (words >> 7)
    words = words | (words >> 14)
    words = words | (words >> 28)
    return (words & 0xFF).to(torch.uint8)
