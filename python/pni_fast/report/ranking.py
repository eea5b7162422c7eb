"""Which images deserve a look first, and how a threshold treats them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pni_fast.evaluation import Evaluation, Result

from .heatmap import colour_scale


@dataclass(frozen=True)
class Verdict:
    """What a threshold makes of one image.

    Attributes
    ----------
    result
        The image.
    called
        Whether it is called defective; None without a threshold.
    margin
        Score minus threshold; the score itself without a threshold.
    """

    result: Result
    called: bool | None
    margin: float

    @property
    def missed(self) -> bool:
        """A defective image that passes as good."""
        return self.called is False and self.result.defective

    @property
    def false_alarm(self) -> bool:
        """A good image that is called defective."""
        return self.called is True and not self.result.defective

    @property
    def wrong(self) -> bool:
        """Missed or false alarm."""
        return self.missed or self.false_alarm


@dataclass(frozen=True)
class KindSummary:
    """How one kind of image fares.

    Attributes
    ----------
    name
        Folder name of the defect, None for good images.
    images, called
        Number of images, and of those called defective (None without a threshold).
    low, high
        Lowest and highest image score.
    """

    name: str | None
    images: int
    called: int | None
    low: float
    high: float


def rank(evaluation: Evaluation) -> list[Verdict]:
    """Order the results: mistakes, the clearest first, then the others, the closest call first.

    The threshold is the model's own, or that of F1max where it has none. Without any (no good or no defective
    image either) the highest score comes first.
    """
    threshold, above = report_threshold(evaluation)
    if threshold is None:
        verdicts = [Verdict(result, None, result.score) for result in evaluation.results]
        return sorted(verdicts, key=lambda verdict: (-verdict.margin, verdict.result.name))
    verdicts = [
        Verdict(
            result,
            result.score > threshold or (not above and result.score == threshold),
            result.score - threshold,
        )
        for result in evaluation.results
    ]
    wrong = sorted((v for v in verdicts if v.wrong), key=lambda v: (-abs(v.margin), v.result.name))
    right = sorted((v for v in verdicts if not v.wrong), key=lambda v: (abs(v.margin), v.result.name))
    return wrong + right


def report_threshold(evaluation: Evaluation) -> tuple[float | None, bool]:
    """Return the threshold of a report, and whether only what is above it is defective: the model's own.

    At that of F1max, which is a score of the test set, what scores as much is defective too.
    """
    own = evaluation.own_threshold
    return (evaluation.metrics.image_threshold, False) if own is None else (own.threshold, True)


def by_kind(verdicts: list[Verdict]) -> list[KindSummary]:
    """Summarise the images of each kind of defect, by name, good images last."""
    names = sorted({v.result.sample.defect for v in verdicts if v.result.sample.defect is not None})
    rows = []
    for name in [*names, None]:
        alike = [v for v in verdicts if v.result.sample.defect == name]
        if not alike:
            continue
        scores = [v.result.score for v in alike]
        called = None if alike[0].called is None else sum(bool(v.called) for v in alike)
        rows.append(KindSummary(name, len(alike), called, min(scores), max(scores)))
    return rows


def score_format(verdicts: list[Verdict]) -> str:
    """Return the format that tells scores of this spread apart, with the same decimals for all."""
    scores = [verdict.result.score for verdict in verdicts]
    span = max(scores) - min(scores)
    decimals = 3 - math.floor(math.log10(span)) if span > 0 else 3
    return f".{min(max(decimals, 0), 9)}f"


def display_range(evaluation: Evaluation) -> tuple[float, float]:
    """Colour scale of a report: clear up to what 98 % of good images' pixels stay below, hottest at defects.

    One scale for the whole page. Its upper end is what half of the defective images reach; without good or
    defective images, or where that is not above the lower end, the scale follows the normal images seen at
    fit time (`colour_scale`).
    """
    calm = [result.anomaly_map[::4, ::4].ravel() for result in evaluation.results if not result.defective]
    peaks = [float(result.anomaly_map.max()) for result in evaluation.results if result.defective]
    if not calm or not peaks:
        return colour_scale(evaluation.map_range)
    low, high = float(np.percentile(np.concatenate(calm), 98)), float(np.median(peaks))
    return (low, high) if high > low else colour_scale(evaluation.map_range)
