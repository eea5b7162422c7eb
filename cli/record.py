"""Which files of a folder of results an earlier run wrote: those may be written over, and no others."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import PniError
from pni_fast.runtime.files import atomic_path

from .kinds import TABLES

RECORD = ".pni-fast-files"
"""In a folder of results: which files the last run wrote in folders inside, under the name of its table."""


def written_before(folder: Path, table: str, parts: Iterable[str], earlier: Iterable[str] = ()) -> list[str]:
    """Return the files, beside its table, of the last run with this table.

    Parameters
    ----------
    folder
        The folder of results, its links followed.
    table
        Under whose name the record has them.
    parts
        Names in the folder that such a run may write; a record made up by a stranger names no others.
    earlier
        What a run of an older version wrote, which left neither record nor mark.
    """
    names = names_in(folder, read_json(folder / RECORD).get(table))
    found = [name for name in names if PurePosixPath(name).parts[0] in {table, *parts}]
    if not (folder / RECORD).exists() and not (folder / RESULTS_MARK).exists():
        found += names_in(folder, list(earlier))
    return found


def refuse_foreign(
    output: Path,
    table: str,
    writes: Iterable[str] = (),
    known: Collection[str] = (),
    sometimes: Collection[str] = (),
) -> None:
    """Refuse to write over what is not of an earlier run of this table.

    Beside a table without a record, as older versions left it, files that go with every run are its own. A
    table that no record names is known by its beginning.
    """
    folder = Path(os.path.realpath(output))
    record = read_json(folder / RECORD)
    others = {
        name: other for other, names in record.items() if other != table for name in names_in(folder, names)
    }
    for name in dict.fromkeys((table, *writes)):
        path = output / name
        if name in known or not os.path.lexists(path):
            continue
        if name == table and (table in record or path.is_dir()):  # a folder is told of in its own words
            continue
        if name == table and table in TABLES and TABLES[table].has(path):
            continue
        if name in others:
            raise PniError(f"{path}: cannot write: it goes with {others[name]} there; give another folder")
        beside = name != table and "/" not in name and (output / table).exists()
        if not beside or (table in record and name in sometimes):
            raise PniError(
                f"{path}: cannot write: no earlier run of this command wrote it; move it, or give another "
                "folder"
            )


def write_record(folder: Path, table: str, new: Iterable[str]) -> None:
    """Note files that not every run writes: those in folders inside, and some beside the table."""
    known = read_json(folder / RECORD)
    values = known | {table: list(new)}
    if any(values.values()) or known:
        write_json(folder / RECORD, values)


def names_in(folder: Path, names: object) -> Iterator[str]:
    """Yield what is a name inside the folder of a list that anybody may have written."""
    yield from (name for name in names if inside(folder, name)) if isinstance(names, list) else ()


def inside(folder: Path, name: object) -> bool:
    """Whether `name` is a relative path below `folder`, through no link."""
    if not isinstance(name, str) or not PurePosixPath(name).parts or "\0" in name:
        return False
    parent = (folder / name).parent
    return (
        ".." not in PurePosixPath(name).parts
        and Path(os.path.realpath(parent)) == parent
        and (parent == folder or folder in parent.parents)
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read an object; an empty one where the file is missing or of another kind."""
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if value} if isinstance(found, dict) else {}


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values), encoding="ascii")
