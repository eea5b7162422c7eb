"""One shard behind plain calls: arrays and numbers in, arrays and numbers out."""

from __future__ import annotations

import os
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pni_fast import _core
from pni_fast.errors import DataError
from pni_fast.kernels.arguments import as_array


class ShardActor:
    """Rows that stay where they are, and what a selection knows of them.

    It is made where its rows are. One that is lost is replaced by another over the same rows: `begin` with
    the first pick, `take` with all later ones, and it goes on as if it had been there from the start.

    Parameters
    ----------
    rows
        (n, d) float32 or float16 in C order, in memory or mapped; or a ``.npy`` file, which is mapped.
    name
        What errors call it.
    num_threads
        Threads of its kernels.

    Raises
    ------
    DataError
        No such matrix, one of no rows, or a file that is none; the line begins with `name`.
    """

    def __init__(
        self, rows: NDArray[np.float32] | str | os.PathLike[str], name: str, num_threads: int | None = None
    ) -> None:
        if isinstance(rows, (str, os.PathLike)):
            rows = _mapped(Path(rows), name)
        try:
            array = as_array(rows, name)
        except ValueError as error:
            raise DataError(str(error)) from error
        if array.ndim != 2 or array.dtype not in (np.float32, np.float16) or not array.flags.c_contiguous:
            order = " in Fortran order" if array.flags.f_contiguous else " in another order"
            order = "" if array.flags.c_contiguous else order
            found = f"{array.ndim} dimensions of {array.dtype}{order}"
            raise DataError(f"{name} must be a matrix of float32 or float16 in C order, got {found}")
        if not array.flags.aligned:  # a copy would need room for all of it
            raise DataError(f"{name} must be aligned in memory as {array.dtype} is, got rows that are not")
        if array.size == 0:
            raise DataError(f"{name} must have at least one row and one column, got shape {array.shape}")
        self._rows = array
        self._name = name
        self._threads = num_threads
        self._shard: _core.Shard | None = None

    def shape(self) -> tuple[int, int]:
        """Return the rows and columns."""
        return self._rows.shape[0], self._rows.shape[1]

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some rows, float32 (k, d)."""
        return self._rows[numbers].astype(np.float32)

    def begin(self, first: NDArray[np.float32]) -> NDArray[np.float64]:
        """Read all rows; `first` (1, d) is the first pick. Return :meth:`sample`.

        Raises
        ------
        DataError
            A row holds NaN or an infinity.
        """
        try:
            self._shard = _core.Shard(self._rows, first, self._threads)
        except ValueError as error:
            raise DataError(f"{self._name}: {error}") from None
        return self.sample()

    def take(self, picks: NDArray[np.float32]) -> NDArray[np.float64]:
        """Take later picks (k, d), in order; return :meth:`sample`, which is asked for next."""
        self._begun().take(picks)
        return self.sample()

    def sample(self) -> NDArray[np.float64]:
        """Return at least the squared distances of some rows, evenly spread."""
        return self._begun().sample()

    def hot(self, threshold: float, most: int) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
        """Return which rows may be picked next.

        Parameters
        ----------
        threshold
            A squared distance.
        most
            Of more rows than this only the farthest are returned, and their equals.

        Returns
        -------
        tuple
            Row numbers (m,), ascending; their squared distances to all picks (m,); and a squared distance
            that no other row reaches.
        """
        return self._begun().hot(threshold, most)

    def _begun(self) -> _core.Shard:
        if self._shard is None:
            raise RuntimeError("begin comes first")
        return self._shard


def _mapped(file: Path, name: str) -> NDArray[np.float32]:
    """Return what a ``.npy`` file holds without reading it; nothing is ever unpickled."""
    must = f"{name} must be a .npy file with a matrix of float32 or float16, got {file}"
    try:
        if not file.exists():
            raise DataError(f"{must}: no such file")
        if not file.is_file():  # to open a pipe would wait for its other end
            raise DataError(f"{must}: no regular file")
        with file.open("rb") as opened:
            start = opened.read(len(npy.MAGIC_PREFIX))
        if start != npy.MAGIC_PREFIX:
            raise DataError(f"{must}: {'not such a file' if start else 'empty'}")
        return npy.open_memmap(file, mode="r")
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{must}: {error.strerror or error}") from error
    except (ValueError, TypeError, OverflowError, EOFError, SyntaxError, TokenError, RecursionError) as error:
        raise DataError(f"{must}: {' '.join(str(error).split())}") from error
