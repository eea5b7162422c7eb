"""What the kernels accept, turned once into what the Rust core works on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .packing import pack

BLOCK = 1 << 22
"""Bytes that are read or converted between two looks at whether Ctrl-C was pressed."""

MANY_THREADS = 1 << 20
"""More than any machine has use for; the core caps them at what this one has."""

LARGEST = 1e37
"""Beyond this, what is moved to around a mean may leave float32; such values are narrowed as they are."""


def as_matrix(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as a C-ordered, aligned float32 or float16 matrix, itself where it is one already.

    Parameters
    ----------
    value
        Anything NumPy makes an array of, a ``numpy.memmap`` (worked on in place), a data frame of numbers or
        a torch CPU tensor.
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
        Not two-dimensional, empty, or partly masked.
    """
    return _narrowed(_as_numbers(value, name), None)


def as_matrices(
    value: ArrayLike, other: ArrayLike, names: tuple[str, str], *, around: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two sets of rows, to be compared with each other, as :func:`as_matrix` does.

    float64 and wide integers that float32 cannot hold are moved to around the mean of one of the two before
    they are narrowed: a column by the same amount in both, so that no distance changes.

    Parameters
    ----------
    value, other
        The rows.
    names
        The arguments' names in error messages.
    around
        Which of the two gives the mean: 0 or 1.

    Raises
    ------
    TypeError
        Not real numbers.
    ValueError
        As for :func:`as_matrix`, or two data frames whose columns have other names or another order.
    """
    columns = [list(getattr(rows, "columns", ())) for rows in (value, other)]
    if columns[0] != columns[1] and len(columns[0]) == len(columns[1]):
        raise ValueError(f"{names[1]} must have the columns of {names[0]} in their order, got {columns[1]}")
    first, second = _as_numbers(value, names[0]), _as_numbers(other, names[1])
    center = _center([first, second], (first, second)[around])
    return _narrowed(first, center), _narrowed(second, center)


def as_centered(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return rows that are compared with each other alone, see :func:`as_matrices`."""
    rows = _as_numbers(value, name)
    return _narrowed(rows, _center([rows], rows))


def _as_numbers(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return a matrix of real numbers, with at least one row and column, in the type it has."""
    array = as_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be a 2-dimensional array (rows, columns), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column, got shape {array.shape}")
    if array.dtype.kind == "O":  # a data frame of several types; numbers of Python's
        with contextlib.suppress(TypeError, ValueError):
            return array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def _center(arrays: list[NDArray[Any]], of: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return what to take from every row before float32 is made of it; None where nothing is gained.

    It is the mean of the rows of `of`, column by column, rounded to a multiple of a power of two near the
    spread: values on a grid, and the ties between them, stay on it.
    """
    wide = any(array.dtype.kind in "fiu" and array.dtype.itemsize > 2 for array in arrays)
    wide = wide and any(array.dtype not in (np.float32, np.float16) for array in arrays)
    if not wide or len({array.shape[1] for array in arrays}) > 1:
        return None
    exact = True
    first = of[0].astype(np.float64)
    total, squares = np.zeros_like(first), np.zeros_like(first)
    with np.errstate(all="ignore"):
        for array in arrays:
            for part in _blocks(array):
                narrow = part.astype(np.float32)
                if not np.abs(narrow).max() < LARGEST:  # or NaN
                    return None
                exact = exact and bool((narrow == part).all())
        if exact:
            return None
        for part in _blocks(of):
            difference = part - first
            total += difference.sum(axis=0)
            squares += np.square(difference).sum(axis=0)
        moved = total / len(of)
        spread = np.sqrt(np.maximum(squares / len(of) - moved * moved, 0))
        mean = first + moved
        grid = np.exp2(np.floor(np.log2(spread)))
        center: NDArray[np.float64] = np.rint(mean / grid) * grid
    return np.where(np.isfinite(center), center, mean)


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows a few at a time: a signal is seen between two of them, not in one call of NumPy."""
    step = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        yield array[start : start + step]


def _narrowed(array: NDArray[Any], center: NDArray[np.float64] | None) -> NDArray[Any]:
    """Return the rows less `center` as a float32 matrix for the core; float16 stays what it is."""
    half = array.dtype == np.float16 and center is None
    return _laid_out(array, np.float16 if half else np.float32, center)


def _laid_out(
    array: NDArray[Any], dtype: DTypeLike, center: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """Return an aligned array of `dtype` in C order, itself where it is one."""
    if center is None and array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    out = np.empty(array.shape, dtype)
    done = 0
    with np.errstate(over="ignore", invalid="ignore"):  # the core refuses what became infinite
        for part in _blocks(array):
            out[done : done + len(part)] = part if center is None else part - center
            done += len(part)
    return out


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
    return _laid_out(array, np.int64)


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
    if mask.dtype.kind == "O" and all(isinstance(entry, (bool, np.bool_)) for entry in mask.flat):
        mask = mask.astype(np.bool_)
    if mask.dtype == np.bool_:
        return pack(mask), mask.shape[1]
    if mask.dtype == np.uint8:
        return _laid_out(mask, np.uint8), 8 * mask.shape[1]
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
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        masked = int(np.ma.getmaskarray(value).sum())
        raise ValueError(f"{name} must have no masked entries, got {masked}; fill or drop them")
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
        return min(as_count(value, "num_threads", 1), MANY_THREADS)
    loader = sys.modules.get("torch.utils.data")
    if loader is not None and loader.get_worker_info() is not None:
        return 1
    return None
