"""What the pixel-level figures are drawn from, small enough to lie in a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.evaluation import Evaluation

POINTS = 200
"""Points of a precision–recall curve, evenly spaced in recall; each one is exact."""

BINS = 100
"""Bins of the score histograms, over the range of all scores."""


@dataclass(frozen=True)
class PixelCurves:
    """Pixel scores of a test set, seen through thresholds.

    Attributes
    ----------
    recall, precision
        (POINTS,) the precision–recall curve, recall rising.
    edges
        (BINS + 1,) scores that bound the bins of the histograms.
    normal, defective
        (BINS,) pixels of each kind in each bin.
    false_positive_rate, false_negative_rate
        Of pixels, at the threshold of F1max.
    """

    recall: list[float]
    precision: list[float]
    edges: list[float]
    normal: list[int]
    defective: list[int]
    false_positive_rate: float
    false_negative_rate: float

    def as_dict(self) -> dict[str, Any]:
        """Return every field under its name, ready for JSON."""
        return asdict(self)


def pixel_curves(evaluation: Evaluation) -> PixelCurves | None:
    """Compute the curves of an evaluation; None where it has no pixel metrics.

    Pixels are those the metrics count: all of good images, and of defective images with a mask.
    """
    threshold = evaluation.metrics.pixel_threshold
    if threshold is None:
        return None
    normal, defective = _sorted_pixels(evaluation)
    wanted = np.ceil(len(defective) * np.arange(1, POINTS + 1) / POINTS).astype(np.int64)
    levels = defective[len(defective) - wanted]
    found = len(defective) - np.searchsorted(defective, levels, side="left")
    alarms = len(normal) - np.searchsorted(normal, levels, side="left")
    low, high = min(normal[0], defective[0]), max(normal[-1], defective[-1])
    edges = np.linspace(float(low), max(float(high), float(low) + 1e-6), BINS + 1)
    return PixelCurves(
        recall=(found / len(defective)).tolist(),
        precision=(found / (found + alarms)).tolist(),
        edges=edges.tolist(),
        normal=np.histogram(normal, edges)[0].tolist(),
        defective=np.histogram(defective, edges)[0].tolist(),
        false_positive_rate=1 - float(np.searchsorted(normal, threshold, side="left")) / len(normal),
        false_negative_rate=float(np.searchsorted(defective, threshold, side="left")) / len(defective),
    )


def _sorted_pixels(evaluation: Evaluation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    known = [(found.anomaly_map, found.mask) for found in evaluation.results if found.mask is not None]
    normal = np.concatenate([values[~mask] for values, mask in known])
    defective = np.concatenate([values[mask] for values, mask in known])
    normal.sort()
    defective.sort()
    return normal, defective
