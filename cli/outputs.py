"""Outputs looked at before the work: whether they can be written, have room, and are no inputs."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from pni_fast.errors import PniError
from pni_fast.runtime.targets import reason, resolved_target

SMALLEST_MODEL = 1 << 20
"""Bytes no model file is smaller than: its backbone alone has more."""


def check_writable(path: Path, room: int = 0) -> None:
    """Make sure a file of `room` bytes can be written at `path`, leaving nothing behind.

    Raises
    ------
    PniError
        The path is a folder, a device or a pipe; or its folder cannot be created or written to, or is full.
    """
    target = resolved_target(path)
    parent = target.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    try:
        with contextlib.suppress(FileNotFoundError):
            (parent / target.name).lstat()  # a name too long is told now
        with tempfile.TemporaryFile(dir=parent) as file:
            if room and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, room)
    except OSError as error:
        raise PniError(f"{path}: cannot write: {parent}: {reason(error)}") from error


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
        check_writable(path / "scores")
    except PniError as error:
        raise PniError(f"{path}: cannot write{str(error).partition('cannot write')[2]}") from error


def refuse_inputs(option: str, output: Path, inputs: Iterable[Path | None]) -> None:
    """Refuse, as wrong usage, an output that is an input: by the file itself, whatever its names.

    Parameters
    ----------
    option
        The output's option.
    output
        The file to write.
    inputs
        Files that are read, and folders of images.

    Raises
    ------
    click.UsageError
        They are the same file.
    """
    try:
        own = output.stat()
    except OSError:
        return  # a new file is no input
    for path in _files(inputs):
        with contextlib.suppress(OSError):
            if os.path.samestat(own, path.stat()):
                raise click.UsageError(f"{option}: {output} is an input ({path}); give another file")


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
