"""Room for the features of a whole training set, in memory while they are few and on disk beyond."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pni_fast.errors import PniError

IN_MEMORY = 4 << 30
"""Bytes of features held in memory; more go to an unnamed file in the temporary folder (TMPDIR)."""


def allocate_features(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return a writable array of `shape`, float32 by default; a map of a temporary file when it is large.

    Raises
    ------
    PniError
        The temporary folder has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype=dtype)
    try:
        with tempfile.TemporaryFile(prefix="pni-fast-features-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a sparse file would fail later, with a signal
            else:
                file.truncate(size)
            return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        raise PniError(
            f"{tempfile.gettempdir()}: must hold {size / 2**30:.1f} GiB of features for this fit: "
            f"{error.strerror}; point TMPDIR to a larger disk or fit on fewer images"
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
    if features.flags.c_contiguous:
        return features
    copy = allocate_features(features.shape, features.dtype)
    copy[...] = features
    return copy
