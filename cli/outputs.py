"""Outputs looked at before the work: whether they can be written, have room, and are no inputs."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pni_fast.errors import PniError
from pni_fast.runtime.targets import reason, resolved_target

if TYPE_CHECKING:
    from .kinds import Kind

PROBE = ".pni-fast-probe"
"""Of no file: with it is asked whether one could be written into a folder, where users' own have any name."""

SMALLEST_MODEL = 1 << 20
"""Bytes that must be free before it is known how many a model takes; few backbones have less."""


def check_writable(path: Path, room: int = 0, kind: Kind | None = None) -> None:
    """Make sure a file of `room` bytes can be written at `path`, leaving nothing behind.

    Raises
    ------
    PniError
        The path is a folder, a device or a pipe; or its folder cannot be created or written to, or is full;
        or a file is there already that is not of this kind.
    """
    target = resolved_target(path)
    parent = _existing(target.parent)
    if kind is not None:
        with contextlib.suppress(OSError):  # nothing is there, or nobody may read it
            if not kind.has(target):
                raise PniError(
                    f"{path}: cannot write: what is there is not {kind.name}; move it, or give another file"
                )
    try:
        with contextlib.suppress(FileNotFoundError):
            (parent / target.name).lstat()  # a name too long is told now
        with tempfile.TemporaryFile(dir=parent) as file:
            if room and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, room)
    except OSError as error:
        raise PniError(f"{path}: cannot write: {parent}: {reason(error)}") from error


def check_room(files: Iterable[tuple[Path, int]]) -> None:
    """Make sure that files of so many bytes have room, those on one file system together.

    Raises
    ------
    PniError
        There is less room, or the process may not write so large a file (`ulimit -f`); with both amounts.
    """
    needed: dict[int, tuple[Path, Path, int]] = {}
    for path, size in files:
        if size > _largest_file():
            raise PniError(
                f"{path}: cannot write: it may need {_mebibytes(size)}, got {_mebibytes(_largest_file())} as "
                "the largest file allowed (ulimit -f)"
            )
        parent = _existing(resolved_target(path).parent)
        disk = parent.stat().st_dev
        first, _, others = needed.get(disk, (path, parent, 0))
        needed[disk] = first, parent, others + size
    for path, parent, total in needed.values():
        free = shutil.disk_usage(parent).free
        if total > free:
            raise PniError(
                f"{path}: cannot write: {_mebibytes(total)} may be needed, got {_mebibytes(free)} free in "
                f"{parent}; free some or give another folder"
            )


def _largest_file() -> int:
    """Return how many bytes this process may write to one file."""
    try:
        import resource
    except ImportError:  # Windows
        return sys.maxsize
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def check_folder(path: Path) -> None:
    """Make sure results can be written into the folder `path`, leaving nothing behind.

    Raises
    ------
    PniError
        It is a file, or cannot be created or written to.
    """
    if path.exists() and not path.is_dir():
        raise PniError(f"{path}: cannot write: it is a file; give a folder")
    try:
        check_writable(path / PROBE)
    except PniError as error:
        raise PniError(f"{path}: cannot write{str(error).partition('cannot write')[2]}") from error


def refuse_inputs(option: str, output: Path | Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse, as wrong usage, an output that is an input: by the file itself, whatever its names.

    Parameters
    ----------
    option
        The output's option.
    output
        The file to write, or several.
    inputs
        Files that are read, and folders of images.

    Raises
    ------
    click.UsageError
        They are the same file.
    """
    own = {}
    for file in [output] if isinstance(output, Path) else output:
        with contextlib.suppress(OSError):  # a new file is no input
            own[_identity(file)] = file
    for path in _files(inputs) if own else ():
        with contextlib.suppress(OSError):
            if found := own.get(_identity(path)):
                raise click.UsageError(f"{option}: {found} is an input ({path}); give another file")


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


def refuse_same(first: str, one: Path, second: str, other: Path) -> None:
    """Refuse, as wrong usage, two outputs that are one file."""
    if os.path.realpath(one) == os.path.realpath(other):
        raise click.UsageError(f"{first} and {second} must name different files, got {one} for both")


def _files(paths: Iterable[Path | None]) -> Iterator[Path]:
    """Yield files as they are, and of folders the images: a model may lie beside what it is made from."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            from pni_fast.data import IMAGE_SUFFIXES

            for folder, _, names in os.walk(path):
                files = (Path(folder) / name for name in names)
                yield from (file for file in files if file.suffix.lower() in IMAGE_SUFFIXES)
        else:
            yield path
