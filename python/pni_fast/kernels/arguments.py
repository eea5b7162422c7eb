"""What the kernels accept, turned once into what the Rust core works on."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_matrix(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as a C-ordered float32 or float16 matrix, without a copy where it is one already.

    Parameters
    ----------
    value
        Anything NumPy makes an array of, a ``numpy.memmap`` (worked on in place) or a torch CPU tensor.
    name
        The argument's name in error messages.

    Returns
    -------
    numpy.ndarray
        Shape (n, d), n ≥ 1, d ≥ 1.

    Raises
    ------
    TypeError
        Not real numbers.
    ValueError
        Not two-dimensional, or empty.
    """
    array = as_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be a 2-dimensional array (rows, columns), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column, got shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    dtype = np.float16 if array.dtype == np.float16 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):  # the core refuses what became infinite
        return np.ascontiguousarray(array, dtype=dtype)


def as_integers(value: ArrayLike, name: str, ndim: int) -> NDArray[np.int64]:
    """Return `value` as a C-ordered int64 array of `ndim` dimensions.

    Raises
    ------
    TypeError
        Not integers.
    ValueError
        Another number of dimensions.
    """
    array = as_array(value, name)
    if array.ndim != ndim:
        raise ValueError(f"{name} must be a {ndim}-dimensional array, got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, got dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)


def as_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as an array; torch is looked at only where the caller has imported it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor: Any = value
        if tensor.device.type != "cpu":
            raise ValueError(f"{name} must be on the CPU, got a tensor on {tensor.device}; use .cpu()")
        tensor = tensor.detach()
        value = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be an array, got {type(value).__name__} that is none: {error}"
        ) from error


def as_count(value: object, name: str, low: int, high: int | None = None) -> int:
    """Return `value` as an int from `low` to `high`.

    Raises
    ------
    TypeError
        Not an integer (booleans are none).
    ValueError
        Out of range.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int, got {value!r}")
    number = int(value)
    if number < low or (high is not None and number > high):
        span = f"at least {low}" if high is None else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be an int {span}, got {value}")
    return number


def as_threads(value: int | None) -> int | None:
    """Return the thread count to hand to the core: 1 in a torch DataLoader worker unless told otherwise."""
    if value is not None:
        return as_count(value, "num_threads", 1)
    loader = sys.modules.get("torch.utils.data")
    if loader is not None and loader.get_worker_info() is not None:
        return 1
    return None
