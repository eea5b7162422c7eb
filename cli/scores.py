"""What `pni-fast score` writes: the table, and on request maps and overlays, under names that always fit."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING

from pni_fast.config.choices import RESULTS_MARK
from pni_fast.errors import PniError
from pni_fast.runtime.files import mark_results
from pni_fast.runtime.targets import save_array, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pni_fast.model.prediction import Prediction

TABLE, REGIONS, SUMMARY, REPORT = "scores.csv", "regions.csv", "summary.json", "report.html"
COLUMNS = ("image", "score", "p_value", "verdict")
VERDICTS = {True: "defective", False: "good", None: ""}
"""Of a table: by :attr:`.Prediction.is_defective`; nothing for a model without a threshold."""

KINDS = {"maps": ".npy", "overlays": ".png"}
"""Folders beside the table, and the suffix of the files in them."""

LONGEST = 255
"""Bytes a file name may have on every common file system."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def cell(name: str) -> str:
    """Return a name for a CSV table; one that a spreadsheet would run as a formula gets a quote before it.

    So does a name that begins with a quote: whoever reads the table takes one quote off, and has the name.
    """
    return "'" + name if name.startswith(_FORMULA) else name


def keeps_suffixes(names: Iterable[str]) -> bool:
    """Whether result files must keep the image's suffix, because two images differ in nothing else.

    Compared without case, as some file systems do.
    """
    seen = set()
    for name in names:
        stem = str(PurePosixPath(name).with_suffix("")).casefold()
        if stem in seen:
            return True
        seen.add(stem)
    return False


def result_name(name: str, suffix: str, *, keep_suffix: bool) -> str:
    """Return the relative name of a result file, which never leads out of its folder and is never too long.

    Parameters
    ----------
    name
        The image's relative name, with forward slashes.
    suffix
        Of the result.
    keep_suffix
        Append to the image's suffix instead of replacing it, see `keeps_suffixes`.
    """
    path = PurePosixPath(name)
    parts = [part for part in path.parts if part not in (path.anchor, "..")]
    if not keep_suffix:
        parts[-1] = PurePosixPath(parts[-1]).stem
    parts[-1] += suffix
    if len(os.fsencode(parts[-1])) > LONGEST:
        digest = hashlib.sha256(os.fsencode(parts[-1])).hexdigest()[:16]
        ending = f"~{digest}{suffix}"
        parts[-1] = _cut(parts[-1], LONGEST - len(ending)) + ending
    return "/".join(parts)


def _cut(text: str, limit: int) -> str:
    """Return the longest beginning of at most `limit` bytes that cuts no character."""
    while len(os.fsencode(text)) > limit:
        text = text[:-1]
    return text


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
    ) -> None:
        self.folder = folder
        self.kinds = [kind for kind, wanted in (("maps", maps), ("overlays", overlays)) if wanted]
        names = list(names)
        self.keep_suffix = keeps_suffixes(names)
        self.expected = len(names)
        self.value_range = value_range
        self.output = folder if output is None else output
        self._taken: set[str] = set()
        for kind in self.kinds:
            with writing(self.output / kind):
                (folder / kind).mkdir()
            mark_results(folder / kind, self.output / kind)
        # Names that are not UTF-8 on disk come back byte for byte.
        self._table = (folder / TABLE).open("w", encoding="utf-8", errors="surrogateescape", newline="")
        self._rows = csv.writer(self._table, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def __enter__(self) -> ScoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.output / TABLE):
            self._table.close()

    def write(self, name: str, prediction: Prediction, mask: NDArray[np.bool_] | None = None) -> None:
        """Add one image under its relative name; nine digits hold a float32 exactly.

        Parameters
        ----------
        name, prediction
            The image.
        mask
            (height, width) of what overlays outline.

        Raises
        ------
        PniError
            A file cannot be written, or the maps that are to come have no room.
        """
        with writing(self.output / TABLE):
            chance = "" if prediction.p_value is None else f"{prediction.p_value:.6g}"
            verdict = VERDICTS[prediction.is_defective]
            self._rows.writerow((cell(name), f"{prediction.score:.9g}", chance, verdict))
        for kind in self.kinds:
            relative = self._name(kind, name)
            with writing(self.output / kind / relative):
                target = self.folder / kind / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                self._save(kind, target, prediction, mask)
        if len(self._taken) == len(self.kinds) and "maps" in self.kinds:
            self._look_for_room(prediction.anomaly_map.size * 4)
        self.expected -= 1

    def _save(self, kind: str, target: Path, prediction: Prediction, mask: NDArray[np.bool_] | None) -> None:
        if kind == "maps":
            save_array(target, prediction.anomaly_map.astype("float32", copy=False))
            return
        from pni_fast.report import overlay

        overlay(prediction.image, prediction.anomaly_map, *self.value_range, mask).save(target)

    def _name(self, kind: str, name: str) -> str:
        """Return a name no other image of the run has; two can meet only once their folders are cut off."""
        suffix = KINDS[kind]
        relative = result_name(name, suffix, keep_suffix=self.keep_suffix)
        key = f"{kind}/{relative}".casefold()
        if key in self._taken or relative == RESULTS_MARK:
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
            relative = f"{relative.removesuffix(suffix)[:100]}~{digest}{suffix}"
            key = f"{kind}/{relative}".casefold()
        self._taken.add(key)
        return relative

    def _look_for_room(self, size: int) -> None:
        """Refuse at the first map what would fail at a later one."""
        needed, free = size * (self.expected - 1), shutil.disk_usage(self.folder).free
        if needed > free:
            raise PniError(
                f"{self.output / 'maps'}: cannot write: {self.expected - 1} more maps need "
                f"{needed / 2**20:.0f} MiB, got {free / 2**20:.0f} MiB free; give another "
                "folder"
            )
