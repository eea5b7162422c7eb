"""What normal images left out set for a calibrated rule: λ, and how far a position histogram is trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels import position_histogram
from pni_fast.runtime.threads import ordered_map

from .counts import inside

TAIL = 0.9
"""Rates are read off the values above this quantile: the largest tenth, where defects are told apart."""

CONCENTRATIONS = 2.0 ** np.arange(24)
"""Candidates for m, in patches."""


def tail_rate(values: NDArray[np.float32]) -> float:
    """Return the rate of the exponential tail of some values: λ, where they are distances of images left out.

    Values above the 0.9 quantile are taken as exponential, whose maximum-likelihood rate is one over the mean
    excess. 1 where all values are the same.
    """
    limit = np.quantile(values, TAIL)
    excess = values[values > limit].astype(np.float64) - limit
    return 1.0 / float(excess.mean()) if len(excess) else 1.0


def shrunken(
    labels: NDArray[np.int64],
    position: NDArray[np.float32],
    window: int,
    chosen: Sequence[int],
    threads: int,
) -> NDArray[np.float32]:
    """Return p(c|x) = (counts + m·p(c)) / (patches + m), float32 (h, w, K).

    This is the mean of a Dirichlet posterior around the class frequencies p(c) of the whole training set,
    with the m that makes the classes of images left out most probable. Many images at a place or a strong tie
    to it give small m; few images or a texture a large one.

    Parameters
    ----------
    labels
        (n, h, w) classes.
    position
        (h, w, K) float32, their histogram.
    window
        p, the side of its window.
    chosen
        Numbers of the images that are left out, each by itself.
    threads
        CPU threads; the result does not depend on it.
    """
    counted = LabelCounts(labels, position, window)
    likelihoods = ordered_map(counted.log_likelihoods, chosen, threads)
    return counted.smoothed(CONCENTRATIONS[int(np.argmax(sum(likelihoods)))]).reshape(position.shape)


def shrunken_by(
    labels: NDArray[np.int64], position: NDArray[np.float32], window: int, m: float
) -> NDArray[np.float32]:
    """Return :func:`shrunken` of a histogram with an m that is known."""
    return LabelCounts(labels, position, window).smoothed(m).reshape(position.shape)


def concentration(labels: NDArray[np.int64], smooth: NDArray[np.float32], window: int) -> float:
    """Return the m that a histogram was shrunken by: a model keeps the outcome alone.

    Parameters
    ----------
    labels, window
        As for :func:`shrunken`.
    smooth
        What it returned of them.
    """
    plain = position_histogram(labels, smooth.shape[-1], patch=window, num_threads=1)
    counted = LabelCounts(labels, plain, window)
    prior = _frequencies(counted.classes)
    place = np.unravel_index(np.argmax(np.abs(plain.reshape(-1, len(prior)) - prior)), counted.counts.shape)
    patches = float(counted.area[place[0], 0]) * len(labels)
    value = float(smooth.reshape(counted.counts.shape)[place])
    away = value - float(prior[place[1]])
    m = (float(counted.counts[place]) - value * patches) / away if away else CONCENTRATIONS[-1]
    return float(CONCENTRATIONS[int(np.argmin(np.abs(np.log2(max(m, 1.0)) - np.log2(CONCENTRATIONS))))])


class LabelCounts:
    """How often each class was seen around each place.

    Parameters
    ----------
    labels, position, window
        As for :func:`shrunken`.
    """

    def __init__(self, labels: NDArray[np.int64], position: NDArray[np.float32], window: int) -> None:
        self.labels, self.window = labels, window
        count, height, width = labels.shape
        ones = np.outer(inside(height, window), inside(width, window)).reshape(-1, 1)
        self.area = ones.astype(np.float32)
        self.counts = np.rint(position.reshape(height * width, -1) * (self.area * np.float32(count)))
        self.classes = np.bincount(labels.ravel(), minlength=self.counts.shape[1]).astype(np.float64)

    def smoothed(self, m: float) -> NDArray[np.float32]:
        """Return (counts + m·p(c)) / (patches + m), float32 (h·w, K)."""
        best, prior = np.float32(m), _frequencies(self.classes).astype(np.float32)
        patches = self.area * np.float32(len(self.labels))
        smooth: NDArray[np.float32] = (self.counts + best * prior) / (patches + best)
        return smooth

    def log_likelihoods(self, index: int) -> NDArray[np.float64]:
        """Return the mean log probability of an image's classes for each candidate m, by the other images."""
        n_classes = self.counts.shape[1]
        mine = self.labels[index].ravel()
        own = position_histogram(
            self.labels[index : index + 1], n_classes, patch=self.window, num_threads=1
        ).reshape(self.counts.shape)
        others = self.counts - np.rint(own * self.area)
        seen = others[np.arange(len(mine)), mine].astype(np.float64)
        patches = self.area[:, 0].astype(np.float64) * (len(self.labels) - 1)
        prior = _frequencies(self.classes - np.bincount(mine, minlength=n_classes))[mine]
        return np.array([np.log((seen + m * prior) / (patches + m)).mean() for m in CONCENTRATIONS])


def _frequencies(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return class probabilities; half a count more for each (KT) keeps those never seen possible."""
    shares: NDArray[np.float64] = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares
