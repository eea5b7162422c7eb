"""`pni-fast coreset`: the exact greedy search alone, for other pipelines."""

from __future__ import annotations

import stat
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pni_fast.errors import DataError, PniError

from . import options
from .failures import blames_environment
from .kinds import NUMBERS
from .outputs import check_writable, refuse_inputs
from .progress import shown
from .ray import ray_address
from .speech import say
from .summary import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray


def _size(_ctx: click.Context, _parameter: click.Parameter, value: str) -> int | float:
    """Convert a `--size`: an int for a count, a float for a share; `1` is one row, `1.0` is all of them."""
    try:
        count = int(value)
    except ValueError:
        try:
            share = float(value)
        except ValueError:
            raise click.BadParameter(
                f"must be a count such as 500 or a share such as 0.01, got {value!r}"
            ) from None
        if not 0 < share <= 1:
            raise click.BadParameter(f"a share must be above 0 and at most 1, got {value}") from None
        return share
    if count < 1:
        raise click.BadParameter(f"a count must be at least 1, got {value}")
    return count


@click.command(short_help="Choose a coreset of feature vectors.")
@click.argument("features", type=options.PATH, nargs=-1, required=True, metavar="FEATURES.npy...")
@click.option(
    "--size",
    callback=_size,
    required=True,
    metavar="SIZE",
    help="How many rows to choose: a count (500) or a share (0.01).",
)
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="IDX.npy", help="Indices to write, int64."
)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Row chosen first.")
@ray_address("Search, one worker a file,")
@options.threads
@options.quiet
@options.as_json
def coreset(
    *,
    features: tuple[Path, ...],
    size: float,
    output: Path,
    start: int,
    ray: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Choose rows of FEATURES.npy, a matrix (rows, dimensions), by exact farthest-first search.

    The file is mapped, not read: float32 and float16 are searched in place, so it may be larger than
    memory. The chosen row numbers are written in the order of their choice. Several files, or a pattern in
    quotes such as 'features-*.npy', are one matrix whose rows are numbered through all of them, in the order
    given; a pattern stands for its files by name.
    """
    began = time.monotonic()
    files = named(features)
    refuse_inputs("--output", output, files)
    check_writable(output, kind=NUMBERS)
    matrices = [open_features(file) for file in files]

    from pni_fast.runtime.files import atomic_path
    from pni_fast.runtime.targets import save_array

    travelled = ""
    with shown(quiet=quiet) as progress:

        def tell(done: int, total: int) -> None:
            progress("coreset", done, total)

        if len(files) == 1 and ray is None:
            indices, radii = _alone(files[0], matrices[0], size, start, threads, tell)
        else:
            indices, radii, travelled = _by_file(files, matrices, size, start, ray, threads, tell)
    with atomic_path(output) as temporary:
        save_array(temporary, indices)
    seconds = time.monotonic() - began
    rows, dimensions = sum(len(matrix) for matrix in matrices), matrices[0].shape[1]
    radius = float(radii[-1])
    if as_json:
        print_json(
            {
                "indices": output,
                "rows": rows,
                "dimensions": dimensions,
                "chosen": len(indices),
                "last_radius": radius,
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        say(
            f"Chose {len(indices)} of {rows} rows of {dimensions} dimensions in {seconds:.1f} s; "
            f"the last was {radius:.6g} from those before it.{travelled} Indices: {output}"
        )


def named(features: Sequence[Path]) -> list[Path]:
    """Return files with those that patterns stand for, in order.

    Raises
    ------
    DataError
        A pattern that no file has, or a file named twice.
    """
    files: list[Path] = []
    for path in features:
        if path.exists() or not any(sign in path.name for sign in "*?["):
            files.append(path)
            continue
        found = sorted(path.parent.glob(path.name))
        if not found:
            raise DataError(f"{path}: no file has such a name")
        files += found
    for number, file in enumerate(files):
        if file in files[:number]:
            raise DataError(f"{file}: must be given once, its rows would count twice")
    return files


def _alone(
    file: Path,
    matrix: NDArray[Any],
    size: float,
    start: int,
    threads: int | None,
    tell: Callable[[int, int], object],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the picks in one file, and their radii."""
    from pni_fast.kernels import greedy_coreset

    try:
        chosen = greedy_coreset(matrix, size, start=start, num_threads=threads, progress=tell)
    except (ValueError, TypeError) as error:  # the kernel names the row or the argument, not the file
        if blames_environment(error):
            raise
        raise DataError(f"{file}: {error}") from error
    return chosen.indices, chosen.radii


def _by_file(
    files: Sequence[Path],
    matrices: Sequence[NDArray[Any]],
    size: float,
    start: int,
    ray: str | None,
    threads: int | None,
    tell: Callable[[int, int], object],
) -> tuple[NDArray[np.int64], NDArray[np.float32], str]:
    """Return the picks in several files or on Ray, their radii, and what travelled in words."""
    from pni_fast.distributed import RayExecutor, greedy_coreset

    for file, matrix in zip(files, matrices, strict=True):
        if matrix.dtype.name not in ("float32", "float16") or not matrix.flags.c_contiguous:
            order = "" if matrix.flags.c_contiguous else " in Fortran order"
            raise DataError(
                f"{file}: must be float32 or float16 in C order, as one of several or with --ray, "
                f"got {matrix.dtype}{order}"
            )
        if matrix.shape[1] != matrices[0].shape[1]:
            raise DataError(
                f"{file}: must have {matrices[0].shape[1]} dimensions as {files[0]}, got {matrix.shape[1]}"
            )
    with ExitStack() as stack:
        executor, shards = None, list[Any](matrices)
        if ray is not None:
            executor = stack.enter_context(RayExecutor(ray, actors=len(files)))
            threads, shards = threads or executor.threads, [file.resolve() for file in files]
        try:
            chosen = greedy_coreset(
                shards, size, start=start, executor=executor, num_threads=threads, progress=tell
            )
        except DataError as error:
            text = str(error)
            for number in reversed(range(len(files))):
                text = text.replace(f"shard {number}", str(files[number]))
            raise DataError(text) from error
        except PniError:  # of the cluster, not of a file
            raise
        except (ValueError, TypeError) as error:
            raise DataError(f"{files[0]}{' and others' * (len(files) > 1)}: {error}") from error
    return chosen.indices, chosen.radii, f" {chosen}." if ray is not None else ""


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
