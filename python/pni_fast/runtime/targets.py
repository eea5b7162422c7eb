"""Where an output really goes, what may not be written over, and how bytes reach the disk."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pni_fast.errors import PniError

_KINDS = (
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def special_kind(mode: int) -> str | None:
    """Return what a file of this `st_mode` is, None for a regular file or a folder."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), None)


def resolved_target(path: str | os.PathLike[str]) -> Path:
    """Return the file that writing to `path` means: links are followed, one to nowhere gives its target.

    Raises
    ------
    PniError
        It is no path, or there is a folder, or no regular file: a device or a pipe must never be renamed
        over.
    """
    if not isinstance(path, (str, os.PathLike)):  # a number would be an open file's
        raise PniError(f"path must be that of a file to write, got {type(path).__name__} {path!r:.80}")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  Path.stat would lose what `path` was given as
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise PniError(f"{Path(path)}: cannot write: {reason(error)}") from error
    except ValueError as error:  # no system has such a name: a zero byte, half a surrogate
        raise PniError(f"{os.fspath(path)!a}: cannot write: {error}") from error
    kind = special_kind(mode)
    if stat.S_ISDIR(mode):
        raise PniError(f"{Path(path)}: cannot write: it is a folder; give a file name")
    if kind is not None:
        raise PniError(f"{Path(path)}: cannot write: it is {kind}; give a file name")
    return Path(os.path.realpath(path))


def reason(error: OSError) -> str:
    """Return the cause an OSError has in words."""
    return error.strerror or str(error) or type(error).__name__


@contextlib.contextmanager
def writing(target: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says against a write into one line that names `target`.

    Raises
    ------
    PniError
        The system refused: no room, no permission, a file above the size allowed.
    """
    try:
        yield
    except OSError as error:
        raise PniError(f"{Path(target)}: cannot write: {reason(error)}") from error


def sync_file(path: Path) -> None:
    """Return when the file's bytes are on the disk."""
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Return when the folder's entries are on the disk, where the system can tell (Windows cannot)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename a finished file to `target`, so that a loss of power leaves the old one or the new one, whole.

    The new file has the permissions of the one it replaces.
    """
    with contextlib.suppress(FileNotFoundError):
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    sync_file(temporary)
    temporary.replace(target)
    sync_folder(target.parent)


def save_array(path: Path, array: Any) -> None:
    """Write a ``.npy`` file; unlike `numpy.save`, a full disk is the system's error and says so."""
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    with path.open("wb") as file:
        file.write(stream.getbuffer())
