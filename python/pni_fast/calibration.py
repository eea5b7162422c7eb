"""Set the penalty rule on held-out normal images: λ, the trust in a histogram, whether it serves at all.

Every image is held out by itself, exactly and without a second fit: its own features leave the coreset and
its own counts the histogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .anomaly_map import Upsampler
from .conditions import pack
from .kernels import max_likelihood, nearest, position_histogram
from .parallel import ordered_map

IMAGES = 32
"""Most images held out, evenly spaced over the training set."""

TAIL = 0.9
"""λ is read off the distances above this quantile: the largest tenth, where defects are told apart."""

SMALL_EFFECT = 0.2
"""Position is dropped where it raises the scores of held-out normal images by more than this share of their
standard deviation: Cohen's bound of a small effect."""

CONCENTRATIONS = 2.0 ** np.arange(24)
"""Candidates for m, in patches."""


@dataclass(frozen=True)
class Calibration:
    """What held-out normal images say.

    Parameters
    ----------
    scale
        λ of p(Φ|c) = exp(−λ‖Φ − c‖): one over the mean excess of held-out distances in their tail.
    position
        Shrunken p(c | x), float32 (h, w, K), or None where position is switched off or dropped.
    effect
        What position adds to the score of a held-out normal image, in standard deviations of these scores;
        None where it was not measured.
    """

    scale: float
    position: NDArray[np.float32] | None
    effect: float | None


def calibrate(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    picked: NDArray[np.int64],
    groups: NDArray[np.int64],
    position: NDArray[np.float32] | None,
    *,
    window: int,
    upsampler: Upsampler,
    num_threads: int,
) -> Calibration:
    """Fit λ and the shrinking of the position histogram, and decide whether position is used.

    Parameters
    ----------
    features
        (n, h, w, d) normal features.
    labels
        (n, h, w) index of the nearest C_dist vector.
    picked
        (m,) rows of the flattened features that are C_emb.
    groups
        (m,) C_dist index of each of them.
    position
        p(c | x) as counted by :func:`pni_fast.position_histogram`, or None.
    window
        p, the side of the histogram's window.
    upsampler
        Makes the maps whose maximum is an image's score.
    num_threads
        CPU threads; the result does not depend on it.

    Notes
    -----
    *λ*: distances of held-out normal patches above their 0.9 quantile are taken as exponential, whose
    maximum-likelihood rate is one over the mean excess.

    *Shrinking*: p(c|x) = (counts + m·p(c)) / (patches + m), the mean of a Dirichlet posterior around the
    class frequencies p(c) of the whole training set, with the m that makes the classes of held-out images
    most probable. Many images at a place or a strong tie to it give small m; few images or a texture a large
    one.

    *Decision*: held-out images are scored with and without the threshold of equation (4) on p(c|x). Where
    objects keep their place nothing changes. Where they turn or shift, or few images show a texture, good
    images are pushed up by it, and position is dropped.

    Where nothing can be held out (a single image) λ is 1 and position is dropped.
    """
    count, height, width, dimension = features.shape
    rows = features.reshape(count, height * width, dimension)
    coreset, owner = features.reshape(-1, dimension)[picked], picked // (height * width)
    spaced = np.unique(np.linspace(0, count - 1, IMAGES).astype(int))
    chosen = [int(index) for index in spaced if (owner != index).any()]
    if not chosen:
        return Calibration(1.0, None, None)
    histogram = None if position is None else HeldOutHistogram(labels, position, window)
    tau = np.float32(1 / (2 * len(coreset)))

    def score(distances: NDArray[np.float32]) -> float:
        return float(upsampler(distances.reshape(height, width)).max())

    def held_out(index: int) -> tuple[NDArray[np.float32], float, float]:
        """Return an image's distances, its score, and its score under the threshold on position."""
        others = owner != index
        _, free = nearest(rows[index], coreset[others], num_threads=1)
        if histogram is None:
            return free, 0.0, 0.0
        allowed = pack(histogram.without(index) > tau)
        bound, _ = max_likelihood(rows[index], coreset[others], groups[others], allowed, num_threads=1)
        return free, score(free), score(np.where(np.isfinite(bound), bound, free))

    found, free, bound = zip(*ordered_map(held_out, chosen, num_threads), strict=True)
    scale = 1.0 / _mean_excess(np.concatenate(found))
    if histogram is None:
        return Calibration(scale, None, None)
    effect = _effect(np.array(free), np.array(bound))
    kept = effect <= SMALL_EFFECT
    return Calibration(scale, histogram.shrunken(chosen, num_threads) if kept else None, effect)


class HeldOutHistogram:
    """Position histograms as they are without one of their images, and shrunken to fit the image left out.

    Parameters
    ----------
    labels
        (n, h, w) int64 classes.
    position
        (h, w, K) float32, their histogram.
    window
        p, the side of its window.
    """

    def __init__(self, labels: NDArray[np.int64], position: NDArray[np.float32], window: int) -> None:
        self.labels, self.window = labels, window
        self.shape = position.shape
        count, height, width = labels.shape
        ones = np.outer(_inside(height, window), _inside(width, window)).reshape(-1, 1)
        self.area = ones.astype(np.float32)
        self.counts = np.rint(position.reshape(height * width, -1) * (self.area * np.float32(count)))
        self.classes = np.bincount(labels.ravel(), minlength=self.counts.shape[1]).astype(np.float64)

    def without(self, index: int) -> NDArray[np.float32]:
        """Return p(c | x), (h·w, K), counted from the other images."""
        patches = self.area * np.float32(len(self.labels) - 1)
        shares: NDArray[np.float32] = self._others(index) / patches
        return shares

    def shrunken(self, chosen: Sequence[int], num_threads: int) -> NDArray[np.float32]:
        """Return (counts + m·p(c)) / (patches + m), (h, w, K), with the m best for the chosen images."""
        likelihoods = ordered_map(self._log_likelihoods, chosen, num_threads)
        best = CONCENTRATIONS[int(np.argmax(sum(likelihoods)))]
        prior = _frequencies(self.classes)
        patches = self.area * np.float32(len(self.labels))
        weight = np.float32(best)
        smooth: NDArray[np.float32] = (self.counts + weight * prior.astype(np.float32)) / (patches + weight)
        return smooth.reshape(self.shape)

    def _others(self, index: int) -> NDArray[np.float32]:
        own = position_histogram(
            self.labels[index : index + 1], self.counts.shape[1], patch=self.window, num_threads=1
        )
        others: NDArray[np.float32] = self.counts - np.rint(own.reshape(self.counts.shape) * self.area)
        return others

    def _log_likelihoods(self, index: int) -> NDArray[np.float64]:
        """Return the mean log probability of an image's classes for each candidate m."""
        mine = self.labels[index].ravel()
        seen = self._others(index)[np.arange(len(mine)), mine].astype(np.float64)
        patches = self.area[:, 0].astype(np.float64) * (len(self.labels) - 1)
        prior = _frequencies(self.classes - np.bincount(mine, minlength=len(self.classes)))[mine]
        return np.array([np.log((seen + m * prior) / (patches + m)).mean() for m in CONCENTRATIONS])


def _frequencies(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return class probabilities; half a count more for each (KT) keeps those never seen possible."""
    shares: NDArray[np.float64] = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares


def _inside(size: int, window: int) -> NDArray[np.int64]:
    """Return how many places of a line lie in the window around each of its places."""
    places, half = np.arange(size), window // 2
    reach: NDArray[np.int64] = np.minimum(places + half + 1, size) - np.maximum(places - half, 0)
    return reach


def _mean_excess(distances: NDArray[np.float32]) -> float:
    """Return the mean excess over the tail's quantile; 1 where all distances are the same."""
    limit = np.quantile(distances, TAIL)
    excess = distances[distances > limit].astype(np.float64) - limit
    return float(excess.mean()) if len(excess) else 1.0


def _effect(free: NDArray[np.float64], bound: NDArray[np.float64]) -> float:
    """Return the mean rise of the scores in standard deviations of the free ones."""
    rise = float((bound - free).mean())
    spread = float(free.std(ddof=1)) if len(free) > 1 else 0.0
    if rise <= 0:
        return 0.0
    return rise / spread if spread > 0 else float("inf")
