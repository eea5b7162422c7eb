"""What n scores of good images can promise about the next one: split conformal prediction, exactly.

If the score of the next good image is as likely as any to have each place among n others, it lies above the
k-th smallest of them with a probability of at most (n + 1 − k)/(n + 1). That holds for any distribution of
scores, on average over the draw of the n images. With `confidence` it is the rate itself, given these n
images, that is bounded: the share of good images above the k-th smallest follows Beta(n + 1 − k, k), whose
distribution function is a binomial sum (Vovk 2012, "Conditional validity of inductive conformal predictors").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pni_fast.config.checks import plain_number
from pni_fast.errors import PniError

SLACK = 1e-9
"""Of a product of a rate and a count, which is meant to be whole where it is but for rounding."""


def promise(rate: Any, confidence: Any) -> tuple[float, float | None]:
    """Return what a threshold is to promise as plain numbers: a rate, and a confidence or None.

    Raises
    ------
    PniError
        One of them is not between 0 and 1, or no rate is given.
    """
    rate, confidence = plain_number(rate), plain_number(confidence)
    check_rate(rate, confidence)
    if rate is None:
        raise PniError("false_alarms must be between 0 and 1, both excluded, got None")
    return rate, confidence


def check_rate(rate: float | None, confidence: float | None) -> None:
    """Refuse a rate or a confidence that is none; one that is not given is fine.

    Raises
    ------
    PniError
        It is not between 0 and 1.
    """
    for name, value in (("false_alarms", rate), ("confidence", confidence)):
        real = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (real and 0 < value < 1):
            raise PniError(f"{name} must be between 0 and 1, both excluded, got {value!r:.80}")


def rank(count: int, rate: float, confidence: float | None = None) -> int | None:
    """Return k: a threshold at the k-th smallest of `count` scores keeps a rate of false alarms.

    Parameters
    ----------
    count
        n, scores of good images that the model was not fitted on.
    rate
        α, in (0, 1).
    confidence
        With which the rate holds over the draw of the n images; None: it holds on average.

    Returns
    -------
    int or None
        From 1 to n; None where n are too few: :func:`lowest_rate` is the least they can promise.
    """
    if confidence is None:
        k = count + 1 - math.floor((count + 1) * rate + SLACK)
        return max(k, 1) if k <= count else None
    # Beta(n + 1 − k, k) is below α with the probability that more than n − k of n are, each with α.
    below, found = 0.0, None
    for above in range(count):
        below += _binomial(count, above, rate)
        if below > (1 - confidence) * (1 + SLACK):
            break
        found = count - above
    return found


def lowest_rate(count: int, confidence: float | None = None) -> float:
    """Return the lowest rate that `count` scores can promise: with the threshold at the largest of them."""
    if not count:
        return 1.0
    return 1 / (count + 1) if confidence is None else 1 - (1 - confidence) ** (1 / count)


def p_values(scores: ArrayLike, known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how likely a good image scores at least as much: (1 + those of n that do)/(n + 1).

    Parameters
    ----------
    scores
        (m,) of new images.
    known
        (n,) of good images that the model was not fitted on, ascending.
    """
    above = len(known) - np.searchsorted(known, np.asarray(scores, dtype=np.float64), side="left")
    values: NDArray[np.float64] = (1 + above) / (len(known) + 1)
    return values


def _binomial(count: int, hits: int, rate: float) -> float:
    """Return the probability of `hits` among `count`, each with the probability `rate`."""
    ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return math.exp(ways + hits * math.log(rate) + (count - hits) * math.log1p(-rate))
