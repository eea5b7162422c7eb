"""Outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pni_fast.errors import PniError

if sys.platform != "win32":
    import fcntl

# Everything unfinished bears this name, so that nothing of the user's is ever taken for a leftover.
PREFIX = ".pni-fast-"
# Seconds: far longer than from a temporary's creation to its lock.
LEFTOVER_AGE = 60.0


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, remove it on any failure.

    What a killed process left of an earlier attempt at the same file is removed first.

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
        The folder cannot be created or written to.
    """
    target = Path(path)
    if target.is_dir():
        raise PniError(f"{target}: cannot write: it is a folder; give a file name")
    prefix = f"{PREFIX}{target.stem}-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, prefix, target.suffix)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise PniError(f"{target}: cannot write: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        with in_use(temporary):
            yield temporary
        # mkstemp makes files private; an output gets the permissions any new file would.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise PniError(f"{target}: cannot write: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


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
