"""Outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import PniError

from .targets import put_in_place, resolved_target, writing

if sys.platform != "win32":
    import fcntl

# Everything unfinished bears this name, so that nothing of the user's is ever taken for a leftover.
PREFIX = ".pni-fast-"
# Seconds: far longer than from a temporary's creation to its lock.
LEFTOVER_AGE = 60.0
_MARK_TEXT = "Results of pni-fast: no picture below is read as an image.\n"
# Bytes of the target's name that its temporary repeats; with prefix and suffix it stays below 255.
_STEM, _SUFFIX = 96, 32


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, remove it on any failure.

    Links are followed first, so that a link stays one. The file's bytes reach the disk before its name, and
    the name before this returns. A file that is replaced leaves its permissions to the new one. What a killed
    process left of an earlier attempt at the same file is removed first.

    Parameters
    ----------
    path
        The file to write. Its folder is created.

    Yields
    ------
    pathlib.Path
        An empty file with the same suffix, on the same file system.

    Raises
    ------
    PniError
        The folder cannot be created or written to or is full, or `path` is a folder, a device or a pipe.
    """
    target = resolved_target(path)
    prefix, suffix = _temporary_name(target)
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, prefix, suffix)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with writing(path):
            with in_use(temporary):
                yield temporary
            # mkstemp makes files private; an output gets the permissions any new file would.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            put_in_place(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _temporary_name(target: Path) -> tuple[str, str]:
    """Return what a temporary's name begins and ends with; a long name is told apart by its digest."""
    stem = target.stem
    if len(os.fsencode(stem)) > _STEM:
        stem = hashlib.sha256(os.fsencode(stem)).hexdigest()[:32]
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _SUFFIX else ""
    return f"{PREFIX}{stem}-", suffix


def mark_results(folder: Path, shown: Path | None = None) -> None:
    """Mark an existing folder of results, below which no pictures are read; a message names it as `shown`."""
    with writing((folder if shown is None else shown) / RESULTS_MARK):
        (folder / RESULTS_MARK).write_text(_MARK_TEXT, encoding="utf-8")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process that asks from writing into `folder`, until the block or the process ends.

    Without effect where system or file system have no such locks (Windows, some network drives).

    Raises
    ------
    PniError
        Another process has it.
    """
    with contextlib.ExitStack() as mark:
        if sys.platform != "win32":
            try:
                handle = os.open(folder, os.O_RDONLY)
                mark.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                    raise PniError(
                        f"{folder}: another pni-fast is writing there; wait or give another folder"
                    ) from error
        yield


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[bool]:
    """Mark a temporary file or folder as this process's; the mark ends with the block or the process.

    Yields
    ------
    bool
        False if another process has it, or the system or file system has no such marks (Windows, some
        network drives).
    """
    with contextlib.ExitStack() as mark:
        yield _lock(path, mark)


def _lock(path: Path, mark: contextlib.ExitStack) -> bool:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            mark.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def remove_leftovers(folder: Path, prefix: str, suffix: str = "") -> None:
    """Remove the temporaries in `folder` that killed processes left: no longer in use, and not brand new."""
    for leftover in folder.glob(f"{glob.escape(prefix)}????????{glob.escape(suffix)}"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime < LEFTOVER_AGE:
                continue
            with in_use(leftover) as abandoned:
                if abandoned and leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                elif abandoned:
                    leftover.unlink()
