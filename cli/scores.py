"""What `pni-fast score` writes: the table, and on request maps and overlays, under names that always fit."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, cast

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import PniError
from pni_fast.runtime.files import mark_results
from pni_fast.runtime.table import table_writer
from pni_fast.runtime.targets import save_array, writing

from .names import cell, keeps_suffixes, result_name
from .outcome import COLUMNS, Outcome
from .resume import SKIPPED, begun, note_line, outcomes, whole_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pni_fast.config import Geometry
    from pni_fast.model.prediction import Prediction

TABLE, REGIONS, SUMMARY, REPORT = "scores.csv", "regions.csv", "summary.json", "report.html"

KINDS = {"maps": ".npy", "overlays": ".png"}
"""Folders beside the table, and the suffix of the files in them."""


def earlier_files(output: Path) -> Iterator[str]:
    """Yield the files of a run whose folder has no record, as older versions left it, from its table."""
    try:
        with (output / TABLE).open(encoding="utf-8", errors="surrogateescape", newline="") as table:
            rows = [row for row in csv.reader(table) if row]
    except (OSError, csv.Error):
        return
    if not rows or rows[0] not in (list(COLUMNS), list(COLUMNS[:2])):  # before there were verdicts
        return
    for name, *_ in rows[1:]:
        if PurePosixPath(name).name:
            for kind, suffix in KINDS.items():
                for keep_suffix in (False, True):
                    yield f"{kind}/{result_name(name, suffix, keep_suffix=keep_suffix)}"


def _key(kind: str, relative: str) -> str:
    return f"{kind}/{relative}".casefold()


class ScoreWriter:
    """Write predictions as they come: ``scores.csv``, and on request maps and overlays.

    Parameters
    ----------
    folder
        An existing folder, see `staged_folder`.
    maps, overlays
        Write ``maps/<name>.npy`` (float32, (H, W)) and ``overlays/<name>.png``.
    names
        The relative names of all images that may come.
    value_range
        Map values ``(low, high)`` that the overlays' colours span, see `pni_fast.report.colour_scale`.
    output
        The folder that messages name; `folder` by default.
    resume
        Go on after what is there of a run that was ended early.
    beside
        Whether all that others write of an image is there, by its number and what came of it.
    original
        How photographs were brought to size, which maps are brought back from; None: they are not.

    Attributes
    ----------
    done : list of Outcome
        What came of the first images in the run that is gone on with.
    files_of_done : list of dict
        The relative names of their files, by kind, for each that has a score.
    """

    def __init__(
        self,
        folder: Path,
        *,
        maps: bool = False,
        overlays: bool = False,
        names: Iterable[str] = (),
        value_range: tuple[float, float] = (0.0, 1.0),
        output: Path | None = None,
        resume: bool = False,
        beside: Callable[[int, Outcome], bool] = lambda *_: True,
        original: Geometry | None = None,
    ) -> None:
        self.folder = folder
        self.kinds = [kind for kind, wanted in (("maps", maps), ("overlays", overlays)) if wanted]
        names = list(names)
        self.keep_suffix = keeps_suffixes(names)
        self.expected = len(names)
        self.value_range, self.original = value_range, original
        self.output = folder if output is None else output
        self._taken: set[str] = set()
        self._has_room = False
        for kind in self.kinds:
            with writing(self.output / kind):
                (folder / kind).mkdir(exist_ok=resume)
            mark_results(folder / kind, self.output / kind)
        self.files_of_done: list[dict[str, str]] = []
        self.done: list[Outcome] = []
        if resume:
            cells = [cell(name) for name in names]
            self.done = outcomes(
                folder, TABLE, cells, lambda number, was: beside(number, was) and self._whole(names[number])
            )
        self.expected -= len(self.done)
        rows, notes = io.StringIO(newline=""), io.StringIO(newline="")
        self._rows, self._notes = table_writer(rows), cast("TextIO", notes)
        self._rows.writerow(COLUMNS)
        for number, (name, outcome) in enumerate(zip(names, self.done, strict=False)):
            if outcome.reason is None:
                self._rows.writerow((cell(name), *outcome.cells))
            else:
                self._note(number, outcome.reason)
        with writing(self.output / TABLE):
            self._table = begun(folder / TABLE, rows.getvalue())
            self._notes = begun(folder / SKIPPED, notes.getvalue())
        self._rows = table_writer(self._table)

    def __enter__(self) -> ScoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.output / TABLE):
            self._notes.close()
            self._table.close()

    def skip(self, number: int, reason: str) -> None:
        """Note that an image was left out, by its number among all."""
        with writing(self.output / TABLE):
            self._note(number, reason)
        self.expected -= 1

    def _note(self, number: int, reason: str) -> None:
        self._notes.write(note_line(number, reason))
        self._notes.flush()

    def write(
        self, name: str, prediction: Prediction, mask: NDArray[np.bool_] | None = None
    ) -> dict[str, str]:
        """Add one image under its relative name, its row last: what the table has is there.

        Parameters
        ----------
        name, prediction
            The image.
        mask
            (height, width) of what overlays outline.

        Returns
        -------
        dict of str to str
            The relative names of its files, by kind.

        Raises
        ------
        PniError
            A file cannot be written, or the maps that are to come have no room.
        """
        files = self.files(name)
        for kind, relative in files.items():
            with writing(self.output / kind / relative):
                target = self.folder / kind / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                self._save(kind, target, prediction, mask)
        with writing(self.output / TABLE):
            self._rows.writerow((cell(name), *Outcome.of(prediction).cells))
            self._table.flush()
        if "maps" in self.kinds and not self._has_room:
            self._look_for_room((self.folder / "maps" / files["maps"]).stat().st_size)
        self.expected -= 1
        return files

    def files(self, name: str) -> dict[str, str]:
        """Return the relative names of the next image's files, by kind; to be asked once for each image."""
        return {kind: self._name(kind, name) for kind in self.kinds}

    def _whole(self, name: str) -> bool:
        """Whether the files of an image are there, to their ends; if not, their names are free again."""
        files = self.files(name)
        whole = all(whole_file(self.folder / kind / relative) for kind, relative in files.items())
        if whole:
            self.files_of_done.append(files)
        else:
            self._taken -= {_key(kind, relative) for kind, relative in files.items()}
        return whole

    def _save(self, kind: str, target: Path, prediction: Prediction, mask: NDArray[np.bool_] | None) -> None:
        if kind == "maps":
            found = prediction.anomaly_map.astype("float32", copy=False)
            if self.original is not None and prediction.path is not None:
                from pni_fast.data import image_size
                from pni_fast.scoring.original import at_original

                found = at_original(found, self.original, image_size(prediction.path))
            save_array(target, found)
            return
        from pni_fast.report import overlay

        overlay(prediction.image, prediction.anomaly_map, *self.value_range, mask).save(target)

    def _name(self, kind: str, name: str) -> str:
        """Return a name no other image of the run has; two can meet only once their folders are cut off."""
        suffix = KINDS[kind]
        relative = result_name(name, suffix, keep_suffix=self.keep_suffix)
        key = _key(kind, relative)
        if key in self._taken or relative == RESULTS_MARK:
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
            relative = f"{relative.removesuffix(suffix)[:100]}~{digest}{suffix}"
            key = _key(kind, relative)
        self._taken.add(key)
        return relative

    def _look_for_room(self, size: int) -> None:
        """Refuse at the first map what would fail at a later one."""
        self._has_room = True
        needed, free = size * (self.expected - 1), shutil.disk_usage(self.folder).free
        if needed > free:
            raise PniError(
                f"{self.output / 'maps'}: cannot write: {self.expected - 1} more maps need "
                f"{needed / 2**20:.0f} MiB, got {free / 2**20:.0f} MiB free; give another "
                "folder"
            )
