"""What is left of a run of `pni-fast score` that was ended early, and what of it is whole."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pni_fast.errors import PniError
from pni_fast.runtime.files import PREFIX
from pni_fast.runtime.targets import writing

STATE = ".pni-fast-run"
"""In a staging folder: what the run is of, as JSON."""

SKIPPED = ".pni-fast-skipped"
"""In a staging folder: images left out, a JSON list [number, reason] a line."""

OWN = (STATE, SKIPPED)
"""Files of a staging folder that are no results."""

WORDS = {"version": "another version of pni-fast", "model": "another model", "inputs": "other inputs"}
"""What differs, by its name in a run's identity; anything else is an option."""


@dataclass(frozen=True)
class Outcome:
    """What came of one image: its score as the table has it, or why it was left out."""

    score: str = ""
    reason: str | None = None


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


def outcomes(staging: Path, table: str, cells: Sequence[str], whole: Callable[[int], bool]) -> list[Outcome]:
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
        Whether the other files of an image are there, by its number; asked in order, until one's are not.
    """
    skipped, rows = _skipped(staging / SKIPPED), iter(_rows(staging / table))
    found: list[Outcome] = []
    for number, name in enumerate(cells):
        if number in skipped:
            found.append(Outcome(reason=skipped[number]))
            continue
        row = next(rows, None)
        if row is None or row[0] != name or not whole(number):
            break
        found.append(Outcome(row[1]))
    return found


def _rows(path: Path) -> list[tuple[str, str]]:
    """Return the whole rows of a table, without its head."""
    try:
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    except OSError:
        return []
    # What follows the last line's end was being written. A name may hold line ends: cut there, it is alone.
    lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)
    try:
        rows = [tuple(row) for row in csv.reader(lines)]
    except csv.Error:
        return []
    whole: list[tuple[str, str]] = []
    for row in rows[1:]:
        if len(row) != 2:
            break
        whole.append((row[0], row[1]))
    return whole


def _skipped(path: Path) -> dict[int, str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    found: dict[int, str] = {}
    for line in lines:
        try:
            number, reason = json.loads(line)
        except (ValueError, TypeError):
            break
        found[int(number)] = str(reason)
    return found
