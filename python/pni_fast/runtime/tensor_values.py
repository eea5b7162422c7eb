"""Values of tensors, as arrays or torch's: types and shapes, bytes, digest, and whether they are finite.

Torch is not imported for arrays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .copies import Values

KINDS = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""Types of the format: what torch and, where it has them, NumPy call them, and bytes of a value."""

TORCH_ALONE = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2"})
"""Of them, those that NumPy has only once some other package has taught it."""

NAMES = {dtype: name for name, (dtype, _) in KINDS.items()}
"""What the format calls each of them."""


@dataclass(frozen=True)
class Place:
    """What the table says of a tensor: its type, its shape and its bytes, counted from the first tensor's.

    The type is named as in NumPy and torch: ``"float32"``.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    end: int = 0


def place_of(value: Values) -> Place:
    """Return what a table would say of an array or a tensor, alone in its file."""
    dtype = str(value.dtype).removeprefix("torch.")
    return Place(dtype, tuple(value.shape), 0, prod(value.shape) * KINDS[NAMES[dtype]][1])


def as_bytes(value: Values) -> NDArray[np.uint8]:
    """Return the bytes of an array or a tensor in C order; without a copy where it lies so, on the CPU."""
    if isinstance(value, np.ndarray):
        content: NDArray[np.uint8] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return content
    import torch

    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def digest(header: Any, tensors: Mapping[str, Values]) -> str:
    """Return a digest of tensors and of what is said of them, which shows damage; it proves no origin.

    Parameters
    ----------
    header
        Anything JSON can hold. What reads as the same values has the same digest.
    tensors
        By name. Their order in a file does not matter.
    """
    # The fastest of hashlib that is still sound wherever processors have instructions for it.
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        place = place_of(tensors[name])
        # The first version wrote types as torch prints them.
        total.update(json.dumps([name, f"torch.{place.dtype}", list(place.shape)]).encode())
        total.update(as_bytes(tensors[name]).data)
    return f"sha256:{total.hexdigest()}"


def not_finite(tensors: Mapping[str, Values]) -> str | None:
    """Return the name of the first tensor that holds NaN or an infinity, None where there is none."""
    for name, tensor in tensors.items():
        place = place_of(tensor)
        if "float" not in place.dtype or not place.end:
            continue
        if isinstance(tensor, np.ndarray):
            values = tensor
        else:
            values = (tensor.float() if place.dtype != "float64" else tensor).detach().cpu().numpy()
        with np.errstate(invalid="ignore"):
            # Both are NaN where one value is; it waits for no threads.
            if not np.isfinite((values.min(), values.max())).all():
                return name
    return None
