"""Rows of any real type as float32 ones, moved first where float32 would hold too little of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 1 << 22
"""Bytes that are read or converted between two looks at whether Ctrl-C was pressed."""

LARGEST = 1e37
"""Beyond this, what is moved to around a mean may leave float32; such columns are narrowed as they are."""

SMALLEST = 2.0**-126
"""The smallest number that float32 keeps all 24 bits of; below, all values share its last step, 2**-149."""

WHOLE = 2.0**52
"""From here on every float64 is an integer."""


def narrowed(arrays: Sequence[NDArray[Any]], names: Sequence[str], around: int) -> list[NDArray[Any]]:
    """Return matrices whose rows are compared with each other as the core takes them.

    Parameters
    ----------
    arrays
        Real matrices of any type.
    names
        What errors call them.
    around
        Which of them gives the mean that all are moved to, where they are.

    Returns
    -------
    list of numpy.ndarray
        Of float32, or of float16 what is that already, aligned and in C order.

    Raises
    ------
    ValueError
        No value is as far as `SMALLEST` from the mean, and float32 does not hold them all: it would make
        one point of several. Smaller values beside one that is are nothing, and become 0.
    """
    center = _center(arrays, arrays[around])
    if center is None:
        return [laid_out(rows, np.float16 if rows.dtype == np.float16 else np.float32) for rows in arrays]
    results = [np.empty(rows.shape, np.float32) for rows in arrays]
    reached, lost = False, False
    with np.errstate(all="ignore"):  # the core refuses what became infinite
        for rows, out in zip(arrays, results, strict=True):
            done = 0
            for part in blocks(rows):
                moved, narrow = less(part, center), out[done : done + len(part)]
                narrow[...] = moved
                done += len(part)
                if not reached:
                    reached = not np.abs(narrow).max() < SMALLEST  # or NaN, which the core refuses
                    lost = lost or bool((narrow != moved).any())
    if lost and not reached:
        raise _too_small(arrays, names)
    return results


def _too_small(arrays: Sequence[NDArray[Any]], names: Sequence[str]) -> ValueError:
    """Return the error that names the smallest value other than 0, and which of `names` has it."""
    found = []
    for number, rows in enumerate(arrays):
        sizes = [np.abs(part[part != 0]) for part in blocks(rows)]
        found += [(size.min(), number) for size in sizes if size.size]
    smallest, number = min(found)
    value = np.format_float_scientific(smallest, 3, trim="-")
    return ValueError(
        f"{names[number]} must have a value at least {SMALLEST:.3g} from the mean of its column, or float32 "
        f"cannot tell them apart, got none, the smallest other than 0 is {value}; "
        "multiply the data by a large number"
    )


def _center(arrays: Sequence[NDArray[Any]], of: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return what to take from every row before float32 is made of it; None where nothing is gained.

    It is the mean of the rows of `of`, column by column, rounded to a multiple of a power of two near the
    spread: values on a grid, and the ties between them, stay on it. It is 0 for a column that stays.
    """
    wide = any(array.dtype.kind in "fiu" and array.dtype.itemsize > 2 for array in arrays)
    wide = wide and any(array.dtype not in (np.float32, np.float16) for array in arrays)
    if not wide or len({array.shape[1] for array in arrays}) > 1:
        return None
    stays, held = np.zeros(of.shape[1], bool), np.ones(of.shape[1], bool)
    with np.errstate(all="ignore"):
        first = of[0].astype(np.float64)
        total, squares = np.zeros_like(first), np.zeros_like(first)
        for array in arrays:
            for part in blocks(array):
                narrow = part.astype(np.float32)
                sizes = np.abs(narrow)
                if not sizes.max() < LARGEST:  # or NaN
                    stays |= ~(sizes.max(axis=0) < LARGEST)
                if held.any():
                    held &= _held(narrow, part)
        if (held | stays).all():
            return None
        for part in blocks(of):
            difference = less(part, first)
            total += difference.sum(axis=0)
            squares += np.square(difference).sum(axis=0)
        moved = total / len(of)
        spread = np.sqrt(np.maximum(squares / len(of) - moved * moved, 0))
        mean = first + moved
        grid = np.exp2(np.floor(np.log2(spread)))
        center: NDArray[np.float64] = np.rint(mean / grid) * grid
    return np.where(stays, 0, np.where(np.isfinite(center), center, mean))


def _held(narrow: NDArray[np.float32], part: NDArray[Any]) -> NDArray[np.bool_]:
    """Return of which columns float32 holds every value."""
    same = narrow == part
    if _long(part) and np.abs(narrow).max() >= 2.0**53:
        # NumPy compares them in float64, where integers that far from 0 are rounded to each other.
        below = 2.0**63 if part.dtype.kind == "i" else 2.0**64
        fits = (narrow >= -below) & (narrow < below)
        same &= fits & (np.where(fits, narrow, 0).astype(part.dtype) == part)
    held: NDArray[np.bool_] = same.all(axis=0)
    return held


def less(part: NDArray[Any], center: NDArray[np.float64]) -> NDArray[Any]:
    """Return rows less `center`, in float64 or wider, each value off by a rounding of the difference.

    float64 does not hold all integers of 64 bits. Where `center` is near 0, what it loses is nothing beside
    the difference. Where it is not, it is an integer itself, and they are subtracted as integers.
    """
    difference: NDArray[Any] = part - center
    if not _long(part) or not (far := np.abs(center) >= WHOLE).any():
        return difference
    about = difference[:, far]
    within = np.fmod(center[far], 2.0**64)
    size = np.abs(within).astype(np.uint64)
    # Modulo 2**64, which is the difference itself where that fits into int64; elsewhere float64 will do.
    bits = part[:, far].astype(np.uint64) - np.where(within < 0, ~size + np.uint64(1), size)
    difference[:, far] = np.where(np.abs(about) < 2.0**62, bits.view(np.int64), about)
    return difference


def _long(array: NDArray[Any]) -> bool:
    """Whether these are integers that float64 may not hold."""
    return array.dtype.kind in "iu" and array.dtype.itemsize > 4


def blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows a few at a time: a signal is seen between two of them, not in one call of NumPy."""
    step = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        yield array[start : start + step]


def laid_out(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return an aligned array of `dtype` in C order, itself where it is one."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    out = np.empty(array.shape, dtype)
    done = 0
    with np.errstate(all="ignore"):  # the core refuses what became infinite
        for part in blocks(array):
            out[done : done + len(part)] = part
            done += len(part)
    return out
