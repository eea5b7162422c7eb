"""What a run of `score` says beside its table: counts, drift, and where defective images are defective."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pni_fast.data import image_size
from pni_fast.decision import Decision, Drift, drift
from pni_fast.decision.regions import marked, regions
from pni_fast.runtime.targets import writing

from .scores import REGIONS, SUMMARY, cell

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
    """

    def __init__(
        self,
        folder: Path,
        decision: Decision | None,
        geometry: Geometry | None,
        *,
        min_area: float = 0,
        output: Path | None = None,
    ) -> None:
        self.folder, self.output = folder, folder if output is None else output
        self.geometry, self.min_area = geometry, min_area
        self.decision = Decision() if decision is None else decision
        self.scores: list[float] = []
        self.defective = 0
        self._table = None
        if self.decision.pixel_threshold is not None and geometry is not None:
            table = (folder / REGIONS).open("w", encoding="utf-8", errors="surrogateescape", newline="")
            self._table, self._rows = table, csv.writer(table, lineterminator="\n")
            self._rows.writerow(COLUMNS)

    def __enter__(self) -> Verdicts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._table is not None:
            with writing(self.output / REGIONS):
                self._table.close()

    @property
    def told(self) -> bool:
        """Whether images are called good or defective."""
        return self.decision.threshold is not None

    def add(self, name: str, prediction: Prediction) -> NDArray[np.bool_] | None:
        """Count one image, write its regions, and return the pixels they mark; None for a good image."""
        self.scores.append(prediction.score)
        if not prediction.is_defective:
            return None
        self.defective += 1
        threshold = self.decision.pixel_threshold
        if self._table is None or self.geometry is None or threshold is None or prediction.path is None:
            return None
        size = image_size(prediction.path)
        which = (prediction.anomaly_map, threshold, size, self.geometry)
        with writing(self.output / REGIONS):
            for one in regions(*which, min_area=self.min_area):
                box = (one.x, one.y, one.width, one.height, one.area)
                self._rows.writerow((cell(name), *box, f"{one.peak:.9g}"))
        return marked(*which, min_area=self.min_area)

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
