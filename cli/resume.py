"""What is left of a run of `pni-fast score` that was ended early, and what of it is whole."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from pni_fast.errors import PniError
from pni_fast.runtime.files import PREFIX
from pni_fast.runtime.targets import writing

from .outcome import COLUMNS, Outcome

STATE = ".pni-fast-run"
"""In a staging folder: what the run is of, as JSON."""

SKIPPED = ".pni-fast-skipped"
"""In a staging folder: images left out, a JSON list [number, reason] a line."""

ENDS = ".pni-fast-regions"
"""In a staging folder: the bytes of the table of regions once an image's are in it, as [number, bytes]."""

OWN = (STATE, SKIPPED, ENDS)
"""Files of a staging folder that are no results."""

_PNG_END = b"IEND\xaeB`\x82"
"""Of every PNG: the name and the checksum of its last, empty part."""

WORDS = {"version": "another version of pni-fast", "model": "another model", "inputs": "other inputs"}
"""What differs, by its name in a run's identity; anything else is an option."""


def identity(model: str, found: Sequence[tuple[Path, str]], options: Mapping[str, object]) -> dict[str, str]:
    """Return what a run's results follow from, as texts by name.

    Parameters
    ----------
    model
        Digest of the model.
    found
        The images: path and relative name, in order. Contents are told by size and time of change.
    options
        Those that change results.
    """
    from pni_fast import _core  # the metadata of the package take fifty milliseconds to read

    total = hashlib.sha256()
    for path, name in found:
        try:
            told = path.stat()
            state = [told.st_size, told.st_mtime_ns]
        except OSError:
            state = []
        total.update(json.dumps([os.path.abspath(path), name, state]).encode())  # noqa: PTH100  links stay
    said = {name: str(value) for name, value in options.items()}
    return {"version": _core.version, "model": model, "inputs": total.hexdigest(), **said}


def begin(staging: Path, run: Mapping[str, str]) -> None:
    """Write into a staging folder what the run is of."""
    with writing(staging / STATE):
        (staging / STATE).write_text(json.dumps(dict(run)), encoding="ascii")


def left_by(run: Mapping[str, str], output: Path) -> Callable[[Path], Path | None]:
    """Return what finds, in a folder, the staging folder that a run ended early has left; None without one.

    Parameters
    ----------
    run
        Its :func:`identity`.
    output
        The folder of results, for messages.

    Raises
    ------
    PniError
        (When called.) What is left there is of another run.
    """

    def find(folder: Path) -> Path | None:
        # Whoever asks holds the folder's lock: nobody is at work in there.
        left = [staging for staging in folder.glob(f"{PREFIX}*") if (staging / STATE).is_file()]
        if not left:
            return None
        staging = max(left, key=lambda path: path.stat().st_mtime)
        was = _read_state(staging / STATE)
        wrong = [name for name in {**run, **was} if run.get(name) != was.get(name)]
        if wrong:
            raise PniError(
                f"{output}: cannot resume: the run that was ended early is of {_difference(wrong[0], was)}; "
                "give what it was given, or begin anew without --resume"
            )
        return staging

    return find


def _difference(name: str, was: Mapping[str, str]) -> str:
    return WORDS.get(name, f"another {name.replace('_', '-')} ({was.get(name, 'none')})")


def _read_state(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def outcomes(
    staging: Path, table: str, cells: Sequence[str], whole: Callable[[int, Outcome], bool]
) -> list[Outcome]:
    """Return what came of the first images, as far as all of it is there; a half written row is none.

    Parameters
    ----------
    staging
        The folder.
    table
        Name of the table.
    cells
        The images as the table names them, in order.
    whole
        Whether all else of an image is there, by its number; asked in order, until one's is not.
    """
    skipped, rows = dict(notes(staging / SKIPPED)), iter(_rows(staging / table))
    found: list[Outcome] = []
    for number, name in enumerate(cells):
        if number in skipped:
            found.append(Outcome(reason=str(skipped[number])))
            continue
        row = next(rows, None)
        if row is None or row[0] != name:
            break
        outcome = Outcome(*row[1:])
        if not whole(number, outcome):
            break
        found.append(outcome)
    return found


def _rows(path: Path) -> list[list[str]]:
    """Return the whole rows of a table, without its head."""
    try:
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    except OSError:
        return []
    # What follows the last line's end was being written. A name may hold line ends: cut there, it is alone.
    lines = io.StringIO(text[: text.rfind("\n") + 1], newline="")
    try:
        rows = list(csv.reader(lines))
    except csv.Error:
        return []
    return list(itertools.takewhile(lambda row: len(row) == len(COLUMNS), rows[1:]))


def notes(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield what was noted of images, by their numbers; a half written line ends it."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            number, note = json.loads(line)
        except (ValueError, TypeError):
            return
        yield int(number), note


def note_line(number: int, note: object) -> str:
    """Return a line of :func:`notes`."""
    return json.dumps([number, note]) + "\n"


def begun(path: Path, content: str) -> TextIO:
    """Return a file that holds `content`, open to go on; of one that begins so only the rest is cut off."""
    # Names that are not UTF-8 on disk come back byte for byte.
    data = content.encode("utf-8", errors="surrogateescape")
    if path.exists() and path.read_bytes().startswith(data):
        os.truncate(path, len(data))
    else:
        path.write_bytes(data)
    return path.open("a", encoding="utf-8", errors="surrogateescape", newline="")


def whole_file(path: Path) -> bool:
    """Whether a map or an overlay was written to its end."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".png":
                file.seek(-len(_PNG_END), os.SEEK_END)
                return file.read() == _PNG_END
            from numpy.lib import format as npy

            npy.read_magic(file)
            shape, _, dtype = npy.read_array_header_1_0(file)
            return file.tell() + math.prod(shape) * dtype.itemsize == path.stat().st_size
    except (OSError, ValueError):
        return False
