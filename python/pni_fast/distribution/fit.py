"""Fit the distribution of normal features: coreset, position, neighborhood, in that order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.kernels import greedy_coreset, nearest, position_histogram
from pni_fast.runtime.feature_store import in_one_piece
from pni_fast.runtime.run import Run

from .distribution import Distribution, distribution_size
from .gate import Gate
from .left_out import LeftOut, ToMap, leave_out
from .neighborhood import train_neighborhood
from .shrinkage import shrunken, tail_rate


def fit_distribution(features: NDArray[np.float32], config: Config, run: Run, to_map: ToMap) -> Distribution:
    """Fit the distribution of normal features.

    Parameters
    ----------
    features
        (n, h, w, d).
    config
        The settings of the model.
    run
        Told the stages "coreset" and "neighborhood".
    to_map
        From the scores of an image's patches to its anomaly map: what images left out are scored with.
    """
    features = in_one_piece(features)
    count, height, width, dimension = features.shape
    rows = features.reshape(-1, dimension)
    size = max(int(len(rows) * config.coreset_ratio), 1)
    n_classes = distribution_size(size, config.distribution_size)
    picked = greedy_coreset(
        rows,
        size,
        assign=n_classes,
        num_threads=run.threads,
        progress=lambda done, total: run.progress("coreset", done, total),
    )
    assert picked.labels is not None  # asked for with `assign`
    coreset = rows[picked.indices]
    groups, _ = nearest(coreset, coreset[:n_classes], num_threads=run.threads)
    labels = picked.labels.reshape(count, height, width)
    gated = config.position and config.position_gate
    calibrated = RULES[config.rule].calibrated
    left_out = (
        leave_out(
            features,
            labels,
            picked.indices,
            groups,
            window=config.neighborhood_size,
            position=gated,
            to_map=to_map,
            threads=run.threads,
        )
        if gated or calibrated
        else None
    )
    gate = Gate.of(left_out) if gated else None
    position = None
    if config.position and (gate is None or gate.kept):
        position = _position(labels, n_classes, config, left_out if calibrated else None, run.threads)
    scale = config.likelihood_lambda or 1.0
    if calibrated and left_out is not None:
        scale = config.likelihood_lambda or tail_rate(left_out.distances)
    neighborhood = (
        train_neighborhood(
            features, labels, n_classes, config.neighborhood_size, config.mlp, run, seed=config.seed
        )
        if config.neighborhood
        else None
    )
    return Distribution(coreset, groups, n_classes, position, neighborhood, scale, gate)


def _position(
    labels: NDArray[np.int64], n_classes: int, config: Config, left_out: LeftOut | None, threads: int
) -> NDArray[np.float32]:
    """Return p(c|x): relative frequencies, shrunken where images left out say how far."""
    window = config.neighborhood_size
    histogram = position_histogram(labels, n_classes, patch=window, num_threads=threads)
    if left_out is None:
        return histogram
    return shrunken(labels, histogram, window, left_out.chosen, threads)
