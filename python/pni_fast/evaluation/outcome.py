"""What came of a test set: one result an image, the figures over all, and how they are written."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config.choices import INSPECTED
from pni_fast.data import Sample
from pni_fast.runtime.files import atomic_path

from .compared import Compared
from .metrics import Metrics
from .own_threshold import OwnThreshold


@dataclass(frozen=True)
class Result:
    """One test image with what is known and what was found.

    Attributes
    ----------
    sample
        The test image: path, name, kind of defect.
    score
        Image score, higher is more defective.
    anomaly_map
        (H, W) float32.
    image
        (H, W, 3) uint8, as the model saw it.
    mask
        (H, W) bool, True on defects; all False for a good image; None for a defective one without mask.
    """

    sample: Sample
    score: float
    anomaly_map: NDArray[np.float32]
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None

    @property
    def name(self) -> str:
        """Path relative to the category's ``test`` folder."""
        return self.sample.name

    @property
    def kind(self) -> str | None:
        """Kind of defect, None for a good image."""
        return self.sample.defect

    @property
    def defective(self) -> bool:
        """Whether the image is labelled defective."""
        return self.sample.defect is not None


@dataclass(frozen=True)
class Evaluation:
    """The outcome of a test set.

    Attributes
    ----------
    category
        Name of the category.
    metrics
        Figures over all results.
    results
        One per test image, in the order of the category.
    notes
        What the figures leave out and what the reader should know, in sentences.
    map_range
        Range of the maps of normal images, fixed when the model was fitted.
    model
        The model's own description.
    compared
        By the name of a result, the normal images it was held against, where a model with context was asked.
    at
        Where pixels were counted, one of :data:`pni_fast.config.choices.MAP_SIZES`.
    """

    category: str
    metrics: Metrics
    results: list[Result]
    notes: list[str]
    map_range: tuple[float, float]
    model: dict[str, Any]
    compared: Mapping[str, Compared] = field(default_factory=dict)
    at: str = INSPECTED

    @property
    def own_threshold(self) -> OwnThreshold | None:
        """What the model's own threshold makes of the images; None where it has none."""
        return OwnThreshold.of(self.results, self.model.get("decision"))

    def as_dict(self) -> dict[str, Any]:
        """Figures, thresholds, counts, notes and the model's description, ready for JSON."""
        defects = Counter(result.sample.defect for result in self.results)
        good = defects.pop(None, 0)
        figures = self.metrics.as_dict()
        del figures["notes"]
        own = self.own_threshold
        return {
            **figures,
            "own_threshold": None if own is None else own.as_dict(),
            "category": self.category,
            "metrics_size": self.at,
            "counts": {
                "good": good,
                "defective": len(self.results) - good,
                "defective_without_mask": sum(result.mask is None for result in self.results),
                "defects": {str(kind): number for kind, number in sorted(defects.items(), key=str)},
            },
            "notes": self.notes,
            "model": self.model,
        }


def write_metrics(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Write `Evaluation.as_dict` as JSON, whole or not at all.

    Raises
    ------
    PniError
        The file cannot be written.
    """
    text = json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="replace")
