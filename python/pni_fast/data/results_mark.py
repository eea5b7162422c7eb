"""Folders that hold results of ours, and are therefore never read as pictures."""

from __future__ import annotations

from pathlib import Path

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import DataError


def marks(folder: Path) -> bool:
    """Whether a folder carries the mark: everything in it is a result, whatever the mark's text."""
    return (folder / RESULTS_MARK).is_file()


def results_above(path: Path) -> Path | None:
    """Return the marked folder that `path` is or lies in; None where it lies in none."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # a circle of links: whoever opens it says so
        return None
    return next((folder for folder in (real, *real.parents) if marks(folder)), None)


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
