"""Which files of a folder of results an earlier run wrote: those may be written over, and no others."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import PniError
from pni_fast.runtime.files import atomic_path

RECORD = ".pni-fast-files"
"""In a folder of results: which files the last run wrote in folders inside, under the name of its table."""


def recorded(folder: Path, table: str, parts: Iterable[str]) -> list[str]:
    """Return the files that the last run with this table wrote; a record made up names none but `parts`."""
    names = names_in(folder, read_json(folder / RECORD).get(table))
    return [name for name in names if PurePosixPath(name).parts[0] in {table, *parts}]


def unrecorded(folder: Path, earlier: Iterable[str]) -> list[str]:
    """Return the files of a run before that left no record, as those of older versions."""
    known = (folder / RECORD).exists() or (folder / RESULTS_MARK).exists()
    return [] if known else list(names_in(folder, list(earlier)))


def own_files(output: Path, table: str, earlier: Iterable[str] = ()) -> set[Path]:
    """Return the files in folders inside `output` that the last run with this table wrote."""
    folder = Path(os.path.realpath(output))
    names = [*names_in(folder, read_json(folder / RECORD).get(table)), *unrecorded(folder, earlier)]
    return {folder / name for name in names}


def refuse_foreign(
    output: Path, table: str, writes: Iterable[str], known: set[str], sometimes: set[str]
) -> None:
    """Refuse to write over what is not of an earlier run of this table.

    Beside a table without a record, as older versions left it, files that go with every run are its own.
    """
    folder = Path(os.path.realpath(output))
    record = read_json(folder / RECORD)
    others = {
        name: other for other, names in record.items() if other != table for name in names_in(folder, names)
    }
    for name in writes:
        path = output / name
        if name in known or (name == table and table in record) or not os.path.lexists(path):
            continue
        if name in others:
            raise PniError(f"{path}: cannot write: it goes with {others[name]} there; give another folder")
        beside = name != table and "/" not in name and (output / table).exists()
        if not beside or (table in record and name in sometimes):
            raise PniError(
                f"{path}: cannot write: no earlier run of this command wrote it; move it, or give another "
                "folder"
            )


def write_record(folder: Path, table: str, new: Iterable[str], often: set[str]) -> None:
    """Note files that not every run writes: those in folders inside, and some beside the table.

    What this run wrote is no other table's any more.
    """
    written = set(new)
    known = {
        other: [name for name in names if name not in written]
        for other, names in read_json(folder / RECORD).items()
        if isinstance(names, list)
    }
    values = known | {table: sorted(name for name in written if "/" in name or name in often)}
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
