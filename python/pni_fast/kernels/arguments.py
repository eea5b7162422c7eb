"""What the kernels accept, turned once into what the Rust core works on."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .narrowing import laid_out, narrowed
from .packing import pack

MANY_THREADS = 1 << 20
"""More than any machine has use for; the core caps them at what this one has."""

NESTED = 3
"""No argument has more dimensions, so no list lies deeper in others."""


def as_matrices(
    value: ArrayLike, other: ArrayLike, names: tuple[str, str], *, around: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two sets of rows, to be compared with each other, as matrices that the core takes.

    float64 and wide integers that float32 cannot hold are moved to around the mean of one of the two before
    they are narrowed: a column by the same amount in both, so that no distance changes.

    Parameters
    ----------
    value, other
        The rows: anything NumPy makes an array of, a ``numpy.memmap`` (worked on in place), a data frame of
        numbers or a torch CPU tensor.
    names
        The arguments' names in error messages.
    around
        Which of the two gives the mean: 0 or 1.

    Returns
    -------
    tuple of numpy.ndarray
        Aligned, in C order, float32 or float16, each itself where it is that already; at least one row and
        one column.

    Raises
    ------
    TypeError
        Not real numbers.
    ValueError
        Not two-dimensional, empty, or partly masked; two data frames whose columns have other names or
        another order; values so near each other that float32 has no numbers between them.
    """
    columns = [list(getattr(rows, "columns", ())) for rows in (value, other)]
    if columns[0] != columns[1] and len(columns[0]) == len(columns[1]):
        raise ValueError(f"{names[1]} must have the columns of {names[0]} in their order, got {columns[1]}")
    first, second = narrowed([_as_numbers(value, names[0]), _as_numbers(other, names[1])], names, around)
    return first, second


def as_centered(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return rows that are compared with each other alone, see :func:`as_matrices`."""
    return narrowed([_as_numbers(value, name)], [name], 0)[0]


def _as_numbers(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return a matrix of real numbers, with at least one row and column, in the type it has."""
    array = as_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be a 2-dimensional array (rows, columns), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column, got shape {array.shape}")
    if array.dtype.kind == "O":
        return _of_objects(array, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def _of_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return what a data frame of several types holds, or numbers of Python's.

    Integers are int64 or uint64 where one of them has room for all; all else is float64.
    """
    kinds = set(map(type, array.flat))
    for kind in kinds:  # what float() reads, or drops half of
        if issubclass(kind, (str, bytes, bytearray, memoryview, complex, np.complexfloating)):
            raise TypeError(f"{name} must hold real numbers, got dtype object holding {kind.__name__}")
    try:
        if all(issubclass(kind, (Integral, np.bool_)) for kind in kinds):
            numbers = list(map(int, array.flat))
            low, high = min(numbers), max(numbers)
            for dtype in (np.int64, np.uint64):
                if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                    return array.astype(dtype)
        return array.astype(np.float64)
    except OverflowError:
        largest = np.finfo(np.float32).max
        raise ValueError(
            f"{name} must hold numbers up to {largest:.3g} in magnitude, got one beyond float64"
        ) from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold real numbers, got dtype object") from None


def as_integers(value: ArrayLike, name: str, ndim: int) -> NDArray[np.int64]:
    """Return `value` as a C-ordered, aligned int64 array of `ndim` dimensions.

    Raises
    ------
    TypeError
        Not integers.
    ValueError
        Another number of dimensions, or a number that int64 does not hold.
    """
    array = as_array(value, name)
    if array.ndim != ndim:
        raise ValueError(f"{name} must be a {ndim}-dimensional array, got shape {array.shape}")
    if array.dtype.kind not in "iub":
        raise TypeError(f"{name} must hold integers, got dtype {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must be below 2**63, got {array.max()}")
    return laid_out(array, np.int64)


def as_bits(value: ArrayLike, name: str, rows: int) -> tuple[NDArray[np.uint8], int]:
    """Return a mask of `rows` rows as packed bits, and its number of columns.

    Raises
    ------
    TypeError
        Neither booleans nor uint8.
    ValueError
        Another shape.
    """
    mask = as_array(value, name)
    if mask.ndim != 2 or mask.shape[0] != rows:
        raise ValueError(f"{name} must have shape ({rows}, groups), got {mask.shape}")
    if not mask.shape[1]:
        raise ValueError(f"{name} must have at least one column (group), got shape {mask.shape}")
    if mask.dtype.kind == "O" and all(isinstance(entry, (bool, np.bool_)) for entry in mask.flat):
        mask = mask.astype(np.bool_)
    if mask.dtype == np.bool_:
        return pack(mask), mask.shape[1]
    if mask.dtype == np.uint8:
        return laid_out(mask, np.uint8), 8 * mask.shape[1]
    raise TypeError(f"{name} must be bool, or uint8 holding packed bits, got dtype {mask.dtype}")


def as_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as an array; torch is looked at only where the caller has imported it.

    Raises
    ------
    ValueError
        No array, or one of which entries are masked: what lies under a mask is no value.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor: Any = value
        if tensor.device.type != "cpu":
            raise ValueError(f"{name} must be on the CPU, got a tensor on {tensor.device}; use .cpu()")
        tensor = tensor.detach()
        value = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if masked := _masked(value):
        raise ValueError(f"{name} must have no masked entries, got {masked}; fill or drop them")
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be an array, got {type(value).__name__} that is none: {error}"
        ) from error


def _masked(value: object, depth: int = NESTED) -> int:
    """Return how many entries are masked; also in lists, of which NumPy takes what lies under the masks."""
    if isinstance(value, np.ma.MaskedArray):
        return int(np.ma.getmaskarray(value).sum()) if np.ma.is_masked(value) else 0
    # Most lists hold only these, and are not looked through entry by entry.
    if depth and isinstance(value, (list, tuple)) and not {*map(type, value)} <= {float, int, np.ndarray}:
        return sum(_masked(item, depth - 1) for item in value)
    return 0


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
        return min(as_count(value, "num_threads", 1), MANY_THREADS)
    loader = sys.modules.get("torch.utils.data")
    if loader is not None and loader.get_worker_info() is not None:
        return 1
    return None
