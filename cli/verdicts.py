"""What a run of `score` says beside its table: counts, drift, and where defective images are defective."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray
from pni_fast.data import image_size
from pni_fast.decision import Decision, Drift, drift
from pni_fast.decision.regions import marked, regions
from pni_fast.runtime.table import table_writer
from pni_fast.runtime.targets import writing

from .names import cell
from .outcome import Outcome
from .resume import ENDS, begun, note_line, notes
from .scores import REGIONS, SUMMARY

if TYPE_CHECKING:
    from pni_fast.config import Geometry
    from pni_fast.model.prediction import Prediction

COLUMNS = ("image", "x", "y", "width", "height", "area", "peak")


class Verdicts:
    """Count verdicts and write regions as predictions come, and the summary at the end.

    Parameters
    ----------
    folder
        An existing folder, see `staged_folder`.
    decision
        Of the model; None where it has no threshold: nothing is then called good or defective.
    geometry
        How images are cropped.
    min_area
        Regions of fewer pixels of the photograph are left out.
    output
        The folder that messages name.
    resume
        Go on after what is there of a run that was ended early.
    """

    def __init__(
        self,
        folder: Path,
        decision: Decision | None,
        geometry: Geometry,
        *,
        min_area: float = 0,
        output: Path | None = None,
        resume: bool = False,
    ) -> None:
        self.folder, self.output = folder, folder if output is None else output
        self.geometry, self.min_area = geometry, min_area
        self.decision = Decision() if decision is None else decision
        self.scores: list[float] = []
        self.defective = 0
        self._table: TextIO | None = None
        self._ends: TextIO | None = None
        self._left = _left(folder) if resume else b""
        self._left_ends = {number: int(end) for number, end in notes(folder / ENDS)} if resume else {}

    def __enter__(self) -> Verdicts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.output / REGIONS):
            for file in (self._ends, self._table):
                if file is not None:
                    file.close()

    @property
    def told(self) -> bool:
        """Whether images are called good or defective."""
        return self.decision.threshold is not None

    @property
    def located(self) -> bool:
        """Whether regions are written."""
        return self.decision.pixel_threshold is not None

    def whole(self, number: int, outcome: Outcome) -> bool:
        """Whether the regions of an image done before are there, by its number and what came of it."""
        if not self.located or not outcome.is_defective:
            return True
        return 0 < self._left_ends.get(number, 0) <= len(self._left)

    def begin(self, done: Sequence[Outcome] = ()) -> None:
        """Begin the table of regions, after those of the images that are done; count these.

        Raises
        ------
        PniError
            It cannot be written.
        """
        for outcome in done:
            if outcome.reason is None:
                self._count(outcome)
        if not self.located:
            return
        kept = {number: end for number, end in self._left_ends.items() if number < len(done)}
        text = (
            self._left[: max(kept.values(), default=0)].decode("utf-8", errors="surrogateescape") or _head()
        )
        with writing(self.output / REGIONS):
            self._table = begun(self.folder / REGIONS, text)
            self._ends = begun(self.folder / ENDS, "".join(note_line(*item) for item in kept.items()))
        self._rows = table_writer(self._table)

    def add(self, number: int, name: str, prediction: Prediction) -> NDArray[np.bool_] | None:
        """Count one image, by its number among all, write its regions and return :meth:`marked` of it."""
        outcome = Outcome.of(prediction)
        self._count(outcome)
        if not outcome.is_defective or self._table is None or self._ends is None:
            return None
        which = self._which(prediction)
        if which is None:
            return None
        with writing(self.output / REGIONS):
            for one in regions(*which, min_area=self.min_area):
                box = (one.x, one.y, one.width, one.height, one.area)
                self._rows.writerow((cell(name), *box, f"{one.peak:.9g}"))
            self._table.flush()
            self._ends.write(note_line(number, (self.folder / REGIONS).stat().st_size))
            self._ends.flush()
        return marked(*which, min_area=self.min_area)

    def marked(self, prediction: Prediction) -> NDArray[np.bool_] | None:
        """Return the pixels that the regions of an image mark; None for a good image."""
        which = self._which(prediction) if prediction.is_defective else None
        return None if which is None else marked(*which, min_area=self.min_area)

    def _count(self, outcome: Outcome) -> None:
        self.scores.append(outcome.value)
        self.defective += bool(outcome.is_defective)

    def _which(
        self, prediction: Prediction
    ) -> tuple[NDArray[np.float32], float, tuple[int, int], Geometry] | None:
        """Return what regions are found in; None where they cannot be."""
        threshold = self.decision.pixel_threshold
        if threshold is None or prediction.path is None:
            return None
        return prediction.anomaly_map, threshold, image_size(prediction.path), self.geometry

    def drift(self) -> Drift | None:
        """Return how the run lies beside the good images that the model knows."""
        return drift(np.array(self.scores), self.decision)

    def summary(self, skipped: int) -> dict[str, Any]:
        """Return the counts, the threshold and the drift for JSON."""
        found = self.drift()
        counts = {"defective": self.defective, "good": len(self.scores) - self.defective}
        return {
            "images": len(self.scores),
            **(counts if self.told else dict.fromkeys(counts)),
            "skipped": skipped,
            "decision": self.decision.summary(),
            "drift": None if found is None else found.as_dict(),
        }

    def write_summary(self, skipped: int) -> None:
        """Write the summary.

        Raises
        ------
        PniError
            It cannot be written.
        """
        with writing(self.output / SUMMARY):
            text = json.dumps(self.summary(skipped), indent=2, ensure_ascii=False, allow_nan=False)
            (self.folder / SUMMARY).write_text(text + "\n", encoding="utf-8", errors="replace")


def _head() -> str:
    text = io.StringIO(newline="")
    table_writer(text).writerow(COLUMNS)
    return text.getvalue()


def _left(folder: Path) -> bytes:
    """Return the table of regions that is there, if it is one."""
    try:
        found = (folder / REGIONS).read_bytes()
    except OSError:
        return b""
    return found if found.startswith(_head().encode()) else b""
