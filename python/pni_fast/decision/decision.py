"""A model's threshold, and the good images that stand for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config.checks import plain_number
from pni_fast.errors import PniError

from .conformal import lowest_rate, p_values, promise, rank
from .suspects import Suspect

FALSE_ALARMS = 0.01
"""The rate of false alarms where none is asked for."""

LEFT_OUT, CALIBRATION = "left out", "calibration"
"""Where the scores come from: images of the fit, each left out of it, or others that were never in it."""

_NO_SCORES: NDArray[np.float64] = np.zeros(0)
_NO_DIGESTS: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Decision:
    """From a score to a verdict: above the threshold an image is called defective.

    Parameters
    ----------
    scores
        (n,) float64, ascending: image scores of good images by a model that does not know them.
    peaks
        (n,) float64, ascending: the highest values of their maps.
    source
        ``"left out"`` or ``"calibration"``.
    false_alarms
        The rate of good images called defective that was asked for.
    confidence
        With which the rate holds, whatever good images were drawn; None: on average over the draw.
    at
        A threshold set by hand in place of the promised one, or None.
    digests
        (m,) int64: of the images fitted on, see :func:`pni_fast.data.digests.digest`.
    suspects
        Images of the fit that look like defects among the good, worst first.

    Raises
    ------
    PniError
        A value is out of its range, or scores do not ascend.
    """

    scores: NDArray[np.float64] = field(default_factory=lambda: _NO_SCORES)
    peaks: NDArray[np.float64] = field(default_factory=lambda: _NO_SCORES)
    source: str = LEFT_OUT
    false_alarms: float = FALSE_ALARMS
    confidence: float | None = None
    at: float | None = None
    digests: NDArray[np.int64] = field(default_factory=lambda: _NO_DIGESTS)
    suspects: tuple[Suspect, ...] = ()

    def __post_init__(self) -> None:
        rate, confidence = promise(self.false_alarms, self.confidence)
        plain = {"false_alarms": rate, "confidence": confidence, "at": plain_number(self.at)}
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.source not in (LEFT_OUT, CALIBRATION):
            raise PniError(f"decision source must be {LEFT_OUT!r} or {CALIBRATION!r}, got {self.source!r}")
        for name in ("scores", "peaks"):
            values = getattr(self, name)
            if values.ndim != 1 or not np.isfinite(values).all() or (np.diff(values) < 0).any():
                raise PniError(f"decision {name} must be finite and ascend, got shape {values.shape}")
        if len(self.scores) != len(self.peaks):
            raise PniError(
                f"decision must have as many peaks as scores, got {len(self.peaks)} and {len(self.scores)}"
            )
        real = isinstance(self.at, (int, float)) and not isinstance(self.at, bool)
        if self.at is not None and not (real and abs(self.at) < 1e300):
            raise PniError(f"threshold must be a number, got {self.at!r}")

    @classmethod
    def of(cls, scores: NDArray[np.float64], peaks: NDArray[np.float64], **others: Any) -> Decision:
        """Return the decision of scores and peaks in any order."""
        return cls(np.sort(scores), np.sort(peaks), **others)

    @property
    def count(self) -> int:
        """Good images that stand for the threshold."""
        return len(self.scores)

    @property
    def promised(self) -> float | None:
        """The rate of false alarms that is promised; None where the threshold was set by hand or is not."""
        if self.at is not None or not self.count:
            return None
        return max(self.false_alarms, lowest_rate(self.count, self.confidence))

    @property
    def too_few(self) -> bool:
        """Whether there are too few good images for the rate that was asked for."""
        return self.promised is not None and self._rank is None

    @property
    def threshold(self) -> float | None:
        """The highest score of an image called good; None where no image could be left out."""
        return self._at_rank(self.scores) if self.at is None else float(self.at)

    @property
    def pixel_threshold(self) -> float | None:
        """The highest value of a map where nothing is marked: as many good images have one above it.

        Where the score is the maximum of the map it is the same number as :attr:`threshold`.
        """
        if self.at is not None and (not self.count or np.array_equal(self.scores, self.peaks)):
            return float(self.at)
        return self._at_rank(self.peaks)

    @property
    def _rank(self) -> int | None:
        return rank(self.count, self.false_alarms, self.confidence)

    def _at_rank(self, values: NDArray[np.float64]) -> float | None:
        return float(values[(self._rank or self.count) - 1]) if self.count else None

    def p_value(self, score: float) -> float | None:
        """Return how likely a good image scores at least `score`; None where no good image is known."""
        return float(p_values([score], self.scores)[0]) if self.count else None

    def is_defective(self, score: float) -> bool | None:
        """Whether a score lies above the threshold; None where there is none."""
        threshold = self.threshold
        return None if threshold is None else score > threshold

    def changed(
        self, false_alarms: float | None = None, confidence: float | None = None, at: float | None = None
    ) -> Decision:
        """Return the decision with another threshold from the same images; without a rate it stays."""
        rate = self.false_alarms if false_alarms is None else false_alarms
        return replace(self, false_alarms=rate, confidence=confidence, at=at)

    @property
    def words(self) -> str:
        """The threshold and what it promises, for a reader."""
        threshold = self.threshold
        if threshold is None:
            return "none: one image cannot be left out; give good images with --calibrate"
        if self.at is not None:
            return f"{threshold:.6g}, set by hand"
        images = "left out of the fit" if self.source == LEFT_OUT else "never fitted on"
        sure = "" if self.confidence is None else f" with {_percent(self.confidence)} confidence"
        return (
            f"{threshold:.6g}: it calls at most {_percent(self.promised or 0)} of good images defective"
            f"{sure}, by {self.count} good images {images}"
        )

    @property
    def shortage(self) -> str | None:
        """What is said where there are too few good images for the rate asked for, else None."""
        if not self.too_few:
            return None
        sure = "" if self.confidence is None else f" with {_percent(self.confidence)} confidence"
        least = _percent(lowest_rate(self.count, self.confidence))
        return f"{self.count} good images can promise no less than {least}{sure}"

    def summary(self) -> dict[str, Any]:
        """Return the decision as plain values for JSON."""
        return {
            "threshold": self.threshold,
            "pixel_threshold": self.pixel_threshold,
            "false_alarms": self.false_alarms,
            "promised": self.promised,
            "confidence": self.confidence,
            "good_images": self.count,
            "source": "by hand" if self.at is not None else self.source,
            "suspects": [suspect.name for suspect in self.suspects],
        }


def _percent(rate: float) -> str:
    text = f"{100 * rate:.1f}" if rate >= 0.0095 else f"{100 * rate:.2g}"
    return f"{text} %"
