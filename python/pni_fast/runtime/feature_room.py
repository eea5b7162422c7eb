"""Room for the features of a whole training set, in memory while they are few and on disk beyond."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pni_fast.errors import PniError

from .memory import free_memory, spoken_bytes

IN_MEMORY = 4 << 30
"""Bytes of features held in memory; more go to an unnamed file in the temporary folder (TMPDIR)."""

SHARE = 4
"""They may take one part in so many of the memory that is free: the rest of a fit takes as much again."""


def bytes_of(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """Return the bytes of an array."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def fits_in_memory(size: int) -> bool:
    """Whether features of so many bytes are held in memory."""
    return size <= min(IN_MEMORY, free_memory() // SHARE)


def described_room(size: int) -> str:
    """Return how large features are and where they go, in words."""
    where = "memory" if fits_in_memory(size) else tempfile.gettempdir()
    return f"features: {spoken_bytes(size)} in {where}"


def check_disk(folder: Path, size: int, advice: str) -> None:
    """Refuse, before the work begins, more bytes than a disk has room for.

    Raises
    ------
    PniError
        With both amounts.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise PniError(
            f"{folder}: must hold {spoken_bytes(size)} of features for this fit, got {spoken_bytes(free)} "
            f"free; {advice}"
        )


def allocate_features(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return a writable array of `shape`, float32 by default; a map of a temporary file when it is large.

    Raises
    ------
    PniError
        The temporary folder has no room for it.
    """
    size = bytes_of(shape, dtype)
    if fits_in_memory(size):
        return np.empty(shape, dtype=dtype)
    advice = "point TMPDIR to a larger disk or fit on fewer images"
    try:
        folder = Path(tempfile.gettempdir())
        check_disk(folder, size, advice)
        with tempfile.TemporaryFile(prefix="pni-fast-features-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a sparse file would fail later, with a signal
            else:
                file.truncate(size)
            return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        raise PniError(
            f"{tempfile.gettempdir()}: must hold {spoken_bytes(size)} of features for this fit: "
            f"{error.strerror}; {advice}"
        ) from error


def in_one_piece(features: NDArray[Any]) -> NDArray[Any]:
    """Return features in C order, as they are or copied once into room of their own.

    A distribution is fitted on them flattened, in several places: every other image, which is not in one
    piece, would be copied in each.

    Raises
    ------
    PniError
        The temporary folder has no room for a copy that is large.
    """
    return features if features.flags.c_contiguous else _copied(features)


def writable(features: NDArray[Any]) -> NDArray[Any]:
    """Return features that may be changed: themselves, or where they are a store's a copy."""
    return features if features.flags.writeable else _copied(features)


def _copied(features: NDArray[Any]) -> NDArray[Any]:
    """Return a copy in room of its own, made image by image."""
    copy = allocate_features(features.shape, features.dtype)
    for image, own in zip(features, copy, strict=True):
        own[...] = image
    return copy


def widened(features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return a few features as float32 that may be written to: themselves where they are that, else a copy.

    Those of a store are only read, and may be float16, which float32 holds exactly.
    """
    return np.require(features, np.float32, ["C", "W"])
