"""Whether the images that are called good still look like those the model was fitted on.

Kolmogorov and Smirnov's test of the p-values of a run. They are uniform only in as far as the n good images
behind them show the distribution: of 10,000 images each of 48 known scores takes a hundred by chance more or
less. So the run is compared with those n themselves, as two samples, and on one side, to higher scores: a
left-out image is scored by a model of one image fewer and lies a little higher than a new one anyway.
Images called defective are left out on both sides: many defects are no drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conformal import lowest_rate, p_values
from .decision import Decision

FEWEST = 10
"""Images of a run called good, and good images known, from which on something is said."""

SURE = 0.001
"""Probability under which it is no chance: one run in a thousand warns without need."""

SMALL = 0.01
"""p-values that are counted as small."""


@dataclass(frozen=True)
class Drift:
    """How the scores of a run lie beside those of good images.

    Attributes
    ----------
    images
        Of the run, called good.
    statistic
        How much larger the share of known good scores below some score is than that of the run, in [0, 1].
    p_value
        How likely chance makes it as large.
    small
        Share of all p-values of the run that are 0.01 or less, which good images have in one of a hundred
        cases; None where the model knows too few to tell.
    """

    images: int
    statistic: float
    p_value: float
    small: float | None

    @property
    def found(self) -> bool:
        """Whether images called good no longer look like those fitted."""
        return self.p_value < SURE

    @property
    def words(self) -> str:
        """One line for a reader."""
        return (
            f"the {self.images} images called good score higher than the good images the model knows "
            f"(Kolmogorov-Smirnov p = {self.p_value:.2g}): light, camera or product may have changed"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "found": self.found,
            "images": self.images,
            "statistic": self.statistic,
            "p_value": self.p_value,
            "p_values_below_0.01": self.small,
        }


def drift(scores: NDArray[np.float64], decision: Decision) -> Drift | None:
    """Return how a run lies; None where too few images say anything.

    Parameters
    ----------
    scores
        (m,) image scores of the run.
    decision
        Of the model.
    """
    threshold = decision.threshold
    if threshold is None or not decision.count:
        return None
    good, known = np.sort(scores[scores <= threshold]), decision.scores[decision.scores <= threshold]
    if min(len(good), len(known)) < FEWEST:
        return None
    statistic = higher(good, known)
    told = lowest_rate(decision.count) <= SMALL
    small = float((p_values(scores, decision.scores) <= SMALL + 1e-12).mean()) if told else None
    return Drift(len(good), statistic, chance(statistic, len(good), len(known)), small)


def higher(run: NDArray[np.float64], known: NDArray[np.float64]) -> float:
    """Return the most by which the distribution function of `known` exceeds that of `run`, both ascending."""
    places = np.concatenate([run, known])
    below = [np.searchsorted(values, places, side="right") / len(values) for values in (run, known)]
    return max(0.0, float((below[1] - below[0]).max()))


def chance(statistic: float, first: int, second: int) -> float:
    """Return the probability of a one-sided two-sample statistic as large: Hodges' asymptotic form."""
    more, fewer = max(first, second), min(first, second)
    scaled = math.sqrt(more * fewer / (more + fewer)) * statistic
    shift = 2 * scaled * (more + 2 * fewer) / math.sqrt(more * fewer * (more + fewer)) / 3
    return min(1.0, math.exp(-2 * scaled**2 - shift))
