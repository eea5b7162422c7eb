"""Images among the good ones that look like defects, by their scores when left out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
"""Images from which on the spread of scores is known well enough."""

CHANCE = 0.01
"""Of a whole set of good images, that one of them is named."""

MOST = 100
"""Suspects that are kept."""


@dataclass(frozen=True)
class Suspect:
    """One image of the fit: its name, and its score when it was left out."""

    name: str
    score: float


def outlying(scores: NDArray[np.float64]) -> list[int]:
    """Return the places of the scores that lie far outside the others, the highest first, at most `MOST`.

    A score is the maximum of a map, and the maximum of many values with an exponential tail follows a Gumbel
    distribution (as in :class:`pni_fast.distribution.gate.Gate`). Its scale is the distance of the quartiles
    divided by ln(ln 4 / ln(4/3)), its place follows from the median; up to a quarter of the images may be
    anything without moving them. An image is named where, of n such scores, one as high has a chance of 1 %.
    """
    limit = highest_likely(scores)
    order = np.argsort(-scores, kind="stable")
    return [int(place) for place in order if scores[place] > limit][:MOST]


def highest_likely(scores: NDArray[np.float64]) -> float:
    """Return the score above which an image is a suspect; infinity where few images say nothing."""
    if len(scores) < FEWEST:
        return math.inf
    low, middle, high = np.quantile(scores, (0.25, 0.5, 0.75))
    scale = float(high - low) / math.log(math.log(4) / math.log(4 / 3))
    if scale <= 0:
        return math.inf
    place = float(middle) + scale * math.log(math.log(2))
    return place - scale * math.log(-math.log1p(-CHANCE / len(scores)))
