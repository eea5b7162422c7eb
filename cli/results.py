"""Folders of results that appear whole or not at all: staged during the work, then put in place together."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import PniError
from pni_fast.runtime.files import PREFIX, atomic_path, in_use, locked, remove_leftovers
from pni_fast.runtime.targets import put_in_place, reason, special_kind, sync_file, sync_folder, writing

from .interrupts import held_back
from .record import (
    RECORD,
    inside,
    names_in,
    read_json,
    refuse_foreign,
    write_json,
    write_record,
    written_before,
)
from .resume import OWN

ASIDE = ".pni-fast-aside"
"""The files of the run before and a journal of the change, from the first rename to the last."""

_OLD, _CLEARED = "run", "cleared"
"""Inside `ASIDE`: the files of the run before, and a sign that all of them are there."""


@contextlib.contextmanager
def staged_folder(
    output: Path,
    table: str | None = None,
    parts: Iterable[str] = (),
    earlier: Iterable[str] = (),
    sometimes: Iterable[str] = (),
    *,
    writes: Iterable[str] = (),
    left: Callable[[Path], Path | None] | None = None,
) -> Iterator[Path]:
    """Yield a hidden folder inside `output`; put its files in place on success, remove it on any failure.

    The table vouches for the other files: it is taken away before the first of them changes and is put in
    place after the last, and with it go the files of the run before that are not written again. A run killed
    between is undone by the next one into the same folder. Whatever else lies in `output` stays. A folder
    that had to be created is removed again on failure.

    Parameters
    ----------
    output
        The folder of results; created, with those above it.
    table
        Name of the file that is put in place last; None where every file stands for itself.
    parts
        Names in `output`, beside the table's, that a run may replace.
    earlier
        Files of the run before, where no record names them; relative, with forward slashes.
    sometimes
        Of `parts`, files beside the table that not every run writes: they go with the run that wrote them.
    writes
        Files that the run will write, or may: what is there already, an earlier run of this table wrote.
    left
        Finds in `output` the hidden folder of a run that was ended early, to go on in it. Given that, the
        folder stays on any failure.

    Raises
    ------
    PniError
        The folder cannot be created or written to, another process is writing into it, or something of the
        user's or of another command's lies where a file of `writes` must go.
    """
    folder = Path(os.path.realpath(output))
    parts = tuple(parts)
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(_held, _remove_empty, created)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            told = "it is a file; give a folder" if folder.is_file() else reason(error)
            raise PniError(f"{output}: cannot write: {told}") from error
        _refuse_links(folder, parts if table is None else (table, *parts))
        cleaning.enter_context(locked(folder))
        with held_back(), writing(output):
            _recover(folder)
            old = [] if table is None else written_before(folder, table, parts, earlier)
            if table is not None:
                refuse_foreign(output, table, writes, set(old), set(sometimes))
            staging = None if left is None else left(folder)
            if staging is None:
                remove_leftovers(folder, PREFIX)
                staging = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
            if left is None:
                cleaning.callback(_held, shutil.rmtree, staging, ignore_errors=True)
        with in_use(staging):
            yield staging
            with held_back(), writing(output):
                if table is None:
                    _move_each(staging, folder)
                else:
                    _replace_run(staging, folder, table, old, sometimes)
        _held(shutil.rmtree, staging, ignore_errors=True)


def is_ours(output: Path) -> bool:
    """Whether a folder may carry the mark, which hides pictures: it has it already, or holds nothing visible.

    Ask once an earlier run that was killed is undone, which `staged_folder` does.
    """
    return (output / RESULTS_MARK).is_file() or all(path.name.startswith(PREFIX) for path in output.iterdir())


def _held(work: Callable[..., object], *arguments: object, **options: object) -> None:
    """Clean up to the end, whatever signal comes meanwhile."""
    with held_back():
        work(*arguments, **options)


def _staged(staging: Path) -> list[str]:
    files = (Path(folder) / name for folder, _, names in os.walk(staging) for name in names)
    return sorted(
        name for name in (file.relative_to(staging).as_posix() for file in files) if name not in OWN
    )


def _move_each(staging: Path, folder: Path) -> None:
    for name in _staged(staging):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        put_in_place(staging / name, folder / name)


def _replace_run(
    staging: Path, folder: Path, table: str, old: Iterable[str], sometimes: Iterable[str]
) -> None:
    """Put the staged run in the place of the `old` one; undone on any error."""
    new = _staged(staging)
    inner = [name for name in new if name != table]
    for name in new:
        _refuse_in_the_way(folder, name)
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(folder / name, staging / name)
        sync_file(staging / name)
    aside = folder / ASIDE
    aside.mkdir()
    write_json(
        aside / RECORD,
        {"table": table, "new": new, "sometimes": sorted(sometimes), "replaced": (folder / table).exists()},
    )
    try:
        # The old table goes first: without it no file is vouched for.
        for name in (table, *sorted({*old, *inner} - {table})):
            if (folder / name).is_file():
                _move(folder / name, aside / _OLD / name)
                if name == table:
                    sync_folder(folder)
        write_json(aside / _CLEARED, {})
        for name in inner:
            _move(staging / name, folder / name)
        for path in {(folder / name).parent for name in inner}:
            sync_folder(path)
        _move(staging / table, folder / table)
        sync_folder(folder)
    finally:
        _recover(folder)


def _recover(folder: Path) -> None:
    """End the change that `ASIDE` tells of: forward where the new table is in place, else to the old run.

    Safe to be killed in, and to be called again.
    """
    aside = folder / ASIDE
    if not aside.is_dir():
        return
    journal, old = read_json(aside / RECORD), aside / _OLD
    table, new = str(journal.get("table", "")), list(names_in(folder, journal.get("new")))
    # The old table is the first to go aside and the last to come back.
    begun = inside(folder, table) and (not journal.get("replaced") or (old / table).exists())
    if begun and (folder / table).exists():
        often = set(names_in(folder, journal.get("sometimes")))
        write_record(folder, table, [name for name in new if "/" in name or name in often])
        _remove_empty_folders(folder, _staged(old))
    elif begun:
        if (aside / _CLEARED).exists():
            for name in new:
                (folder / name).unlink(missing_ok=True)
            (aside / _CLEARED).unlink()
        for name in sorted(_staged(old), key=lambda name: name == table):
            _move(old / name, folder / name)
        _remove_empty_folders(folder, new)
        sync_folder(folder)
    shutil.rmtree(aside)


def _move(source: Path, target: Path) -> None:
    """Rename a file; across file systems, where a folder inside is mounted, copy it and then rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        shutil.copymode(source, target)
        source.unlink()


def _refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse links where files will go, and what is neither a file nor a folder: none is renamed over."""
    for name in names:
        path = folder / name
        if path.is_symlink():
            raise PniError(f"{path}: cannot write: it is a link; remove it or give another folder")
        if path.exists() and (kind := special_kind(path.stat().st_mode)):
            raise PniError(f"{path}: cannot write: it is {kind}")


def _refuse_in_the_way(folder: Path, name: str) -> None:
    path = PurePosixPath(name)
    _refuse_links(folder, [str(path), *map(str, path.parents)][:-1])
    if (folder / name).is_dir():
        raise PniError(f"{folder / name}: cannot write: it is a folder, where a file must go")


def _remove_empty_folders(folder: Path, names: Iterable[str]) -> None:
    """Remove the folders of these files that are empty now, the innermost first."""
    parents = {parent for name in names for parent in PurePosixPath(name).parents if parent.name}
    _remove_empty(folder / parent for parent in sorted(parents, key=lambda path: -len(path.parts)))


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
