"""Folders that hold results of ours, and are therefore never read as pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pni_fast.errors import DataError

RESULTS_MARK = ".pni-fast-results"
"""Name of the file that marks a folder: everything in it is a result, or what `mark` has named."""

_KEY = "results"


def mark(folder: Path, names: Iterable[str]) -> None:
    """Mark entries of a folder as results; what else lies in it may still be read.

    Parameters
    ----------
    folder
        An existing folder.
    names
        The entries that hold results (``overlays``, ``maps``); they need not exist yet.
    """
    text = json.dumps({_KEY: sorted(names)}, ensure_ascii=True)
    (folder / RESULTS_MARK).write_text(text + "\n", encoding="ascii")


def marked_names(folder: Path) -> frozenset[str] | None:
    """Return the entries of a folder that its mark names as results; None where the mark is on all it holds.

    A folder without a mark has none.
    """
    try:
        text = (folder / RESULTS_MARK).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except (OSError, UnicodeDecodeError):
        return None
    try:
        names = json.loads(text)[_KEY]
    except (ValueError, LookupError, TypeError):
        return None
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else None


def marks(folder: Path) -> bool:
    """Whether a folder carries a mark that is on everything in it."""
    return marked_names(folder) is None


def results_above(path: Path) -> Path | None:
    """Return the file or folder of results that `path` is or lies in; None where it lies in none."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # a circle of links: whoever opens it says so
        return None
    if real.is_dir() and marks(real):
        return real
    for inner, outer in zip((real, *real.parents), real.parents, strict=False):
        names = marked_names(outer)
        if names is None:
            return outer
        if inner.name in names:
            return inner
    return None


def refuse_results(path: Path) -> None:
    """Refuse to read pictures from a file or a folder of results.

    Raises
    ------
    DataError
        It is one, or lies in one.
    """
    found = results_above(path)
    if found is not None:
        where = "it is" if found == path.resolve() else f"it lies in {found},"
        raise DataError(
            f"{path}: must be pictures to read, but {where} a result of pni-fast ({RESULTS_MARK})"
        )
