"""`pni-fast coreset`: the exact greedy search alone, for other pipelines."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pni_fast.errors import DataError

from . import options
from .outputs import check_writable, refuse_inputs
from .progress import shown
from .speech import say
from .summary import print_json

if TYPE_CHECKING:
    import numpy as np


@click.command(short_help="Choose a coreset of feature vectors.")
@click.argument("features", type=options.PATH, metavar="FEATURES.npy")
@click.option(
    "--size",
    callback=options.size,
    required=True,
    metavar="SIZE",
    help="How many rows to choose: a count (500) or a share (0.01).",
)
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="IDX.npy", help="Indices to write, int64."
)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Row chosen first.")
@options.threads
@options.quiet
@options.as_json
def coreset(
    *, features: Path, size: float, output: Path, start: int, threads: int | None, quiet: bool, as_json: bool
) -> None:
    """Choose rows of FEATURES.npy, a matrix (rows, dimensions), by exact farthest-first search.

    The file is mapped, not read: float32 and float16 are searched in place, so it may be larger than
    memory. The chosen row numbers are written in the order of their choice.
    """
    began = time.monotonic()
    check_writable(output)
    refuse_inputs("--output", output, [features])
    matrix = open_features(features)

    from pni_fast.kernels import greedy_coreset
    from pni_fast.runtime.files import atomic_path
    from pni_fast.runtime.targets import save_array

    with shown(quiet=quiet) as progress:
        try:
            chosen = greedy_coreset(
                matrix,
                size,
                start=start,
                num_threads=threads,
                progress=lambda done, total: progress("coreset", done, total),
            )
        except (ValueError, TypeError) as error:  # the kernel names the row or the argument, not the file
            raise DataError(f"{features}: {error}") from error
    with atomic_path(output) as temporary:
        save_array(temporary, chosen.indices)
    seconds = time.monotonic() - began
    rows, dimensions = matrix.shape
    radius = float(chosen.radii[-1])
    if as_json:
        print_json(
            {
                "indices": output,
                "rows": rows,
                "dimensions": dimensions,
                "chosen": len(chosen.indices),
                "last_radius": radius,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        say(
            f"Chose {len(chosen.indices)} of {rows} rows of {dimensions} dimensions in {seconds:.1f} s; "
            f"the last was {radius:.6g} from those before it. Indices: {output}"
        )


def open_features(path: Path) -> np.ndarray:
    """Map a ``.npy`` matrix of real numbers without reading it.

    Returns
    -------
    numpy.memmap
        Read-only, (rows, dimensions), any real dtype; nothing is ever unpickled.

    Raises
    ------
    DataError
        Not a ``.npy`` file, a pipe, truncated, an object or non-numeric array, not two-dimensional, or empty.
    """
    import numpy as np

    _refuse_unmappable(path)
    shape, columns_first, dtype, offset = _read_header(path)
    if len(shape) != 2:
        raise DataError(f"{path}: must have rank 2 (rows, dimensions), got rank {len(shape)}, shape {shape}")
    if dtype.kind not in "fiu":
        raise DataError(f"{path}: must hold real numbers (float32, float16, ...), got dtype {dtype}")
    if not all(type(length) is int and length > 0 for length in shape):
        raise DataError(f"{path}: must have at least one row and one dimension, got shape {shape}")
    needed, there = shape[0] * shape[1] * dtype.itemsize, path.stat().st_size - offset
    if needed > there:
        raise DataError(
            f"{path}: must be a .npy file with a numeric matrix: {shape} needs {needed} bytes, got {there}"
        )
    return np.memmap(path, dtype, "r", offset, shape, "F" if columns_first else "C")


def _read_header(path: Path) -> tuple[tuple[Any, ...], bool, np.dtype[Any], int]:
    """Return shape, order, dtype and where the numbers begin; lengths are as written, whatever they are."""
    from numpy.lib import format as npy

    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            header = read(file)
            if header[2].hasobject:
                raise ValueError("it holds Python objects")
            return (*header, file.tell())
    except (ValueError, TypeError, OverflowError, EOFError, MemoryError, RecursionError) as error:
        raise DataError(f"{path}: must be a .npy file with a numeric matrix: {error}") from error


def _refuse_unmappable(path: Path) -> None:
    from pni_fast.runtime.targets import reason, special_kind

    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; FEATURES must be a .npy file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}; FEATURES must be a .npy file") from error
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: is a folder; FEATURES must be a .npy file")
    if kind := special_kind(mode):
        raise DataError(
            f"{path}: is {kind}, which cannot be mapped; FEATURES must be a .npy file: save it first"
        )
