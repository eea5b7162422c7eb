"""Results that appear whole or not at all: checked before the work, staged during it, then moved."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING

from pni_fast.errors import PniError
from pni_fast.runtime.files import PREFIX, in_use, remove_leftovers

from .interrupts import held_back

if TYPE_CHECKING:
    from pni_fast.model.prediction import Prediction


def check_writable(path: Path) -> None:
    """Make sure a file can be written at `path`, leaving nothing behind.

    Raises
    ------
    PniError
        The path is a folder, or its folder cannot be created or written to.
    """
    if path.is_dir():
        raise PniError(f"{path}: cannot write: it is a folder; give a file name")
    parent = path.absolute().parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise PniError(f"{path}: cannot write: {parent}: {error.strerror or error}") from error


@contextlib.contextmanager
def staged_folder(output: Path) -> Iterator[Path]:
    """Yield a hidden folder inside `output`; move its files into place on success, remove it on any failure.

    Files already in `output` stay, but those of the same name are replaced. A folder that had to be created
    is removed again on failure. What a killed process left of an earlier attempt is removed first.

    Raises
    ------
    PniError
        The folder cannot be created or written to.
    """
    created = [folder for folder in (output, *output.parents) if not folder.exists()]
    try:
        output.mkdir(parents=True, exist_ok=True)
        remove_leftovers(output, PREFIX)
        staging = Path(tempfile.mkdtemp(prefix=PREFIX, dir=output))
    except OSError as error:
        _remove_empty(created)
        reason = "it is a file; give a folder" if output.is_file() else error.strerror or str(error)
        raise PniError(f"{output}: cannot write: {reason}") from error
    try:
        with in_use(staging):
            yield staging
            with held_back():
                _move_into_place(staging, output)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(created)
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _move_into_place(staging: Path, output: Path) -> None:
    """Rename every file; those at the top (table, metrics) last, so that they vouch for the others."""
    for folder, _, files in os.walk(staging, topdown=False):
        target = output / Path(folder).relative_to(staging)
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name in sorted(files):
                (Path(folder) / name).replace(target / name)
        except OSError as error:
            raise PniError(f"{target}: cannot write: {error.strerror or error}") from error


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


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


class ScoreWriter:
    """Write predictions as they come: ``scores.csv``, and on request maps and overlays.

    Parameters
    ----------
    folder
        An existing folder, see `staged_folder`.
    maps, overlays
        Write ``maps/<name>.npy`` (float32, (H, W)) and ``overlays/<name>.png``.
    keep_suffix
        Append to the image's suffix instead of replacing it, see `keeps_suffixes`.
    value_range
        Map values ``(low, high)`` that the overlays' colours span, see `pni_fast.report.colour_scale`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        maps: bool = False,
        overlays: bool = False,
        keep_suffix: bool = False,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.folder = folder
        self.maps = maps
        self.overlays = overlays
        self.keep_suffix = keep_suffix
        self.value_range = value_range
        # Names that are not UTF-8 on disk come back byte for byte.
        self._table = (folder / "scores.csv").open(
            "w", encoding="utf-8", errors="surrogateescape", newline=""
        )
        self._rows = csv.writer(self._table, lineterminator="\n")
        self._rows.writerow(("image", "score"))

    def __enter__(self) -> ScoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()

    def write(self, name: str, prediction: Prediction) -> None:
        """Add one image under its relative name; nine digits hold a float32 exactly."""
        self._rows.writerow((name, f"{prediction.score:.9g}"))
        if self.maps:
            import numpy as np

            np.save(self._target("maps", name, ".npy"), prediction.anomaly_map.astype(np.float32, copy=False))
        if self.overlays:
            from pni_fast.report import overlay

            picture = overlay(prediction.image, prediction.anomaly_map, *self.value_range)
            picture.save(self._target("overlays", name, ".png"))

    def _target(self, kind: str, name: str, suffix: str) -> Path:
        relative = PurePosixPath(name)
        stem = name if self.keep_suffix else str(relative.with_suffix(""))
        target = self.folder / kind / (stem + suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target
