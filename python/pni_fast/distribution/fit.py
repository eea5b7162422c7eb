"""Fit the distribution of normal features: coreset, conditions, neighborhood, in that order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.kernels import nearest, position_histogram
from pni_fast.runtime.networks import TrainedNetwork
from pni_fast.runtime.run import Run

from .bank import Bank
from .conditions import with_conditions
from .distribution import Distribution, distribution_size
from .features import Features, Held, held
from .gate import Gate
from .left_out import LeftOut, ToMap, leave_out
from .made import MadeDefects
from .shrinkage import shrunken, tail_rate


def fit_distribution(
    features: NDArray[np.floating[Any]] | Features,
    config: Config,
    run: Run,
    to_map: ToMap,
    *,
    names: Sequence[str] = (),
    made: MadeDefects | None = None,
    settled: Distribution | None = None,
    banked: Callable[[Bank], object] | None = None,
) -> Distribution:
    """Fit the distribution of normal features.

    Parameters
    ----------
    features
        (n, h, w, d), float32, or float16 which stands for the float32 it is exactly; or where they are, but
        with neighborhood, whose network reads them all.
    config
        The settings of the model.
    run
        Told the stages "coreset", "conditions" and "neighborhood".
    to_map
        From the scores of an image's patches to its anomaly map: what images left out are scored with.
    names
        Of the n images.
    made
        As for :class:`.trying.Trying`.
    settled
        Another distribution whose conditions and weight are taken without a trial.
    banked
        Handed the coreset with the image that each of its vectors is of.
    """
    features = held(features)
    count, height, width, _ = features.shape
    size = max(int(count * height * width * config.coreset_ratio), 1)
    n_classes = distribution_size(size, config.distribution_size)
    picked = features.picked(
        size, n_classes, run.threads, lambda done, total: run.progress("coreset", done, total)
    )
    coreset = features.rows(picked.indices)
    groups, _ = nearest(coreset, coreset[:n_classes], num_threads=run.threads)
    window = config.neighborhood_size
    bank = Bank(features, picked.labels, picked.indices, groups, window, n_classes, coreset, picked.distances)
    if banked is not None:
        banked(bank)
    fitted = Distribution(coreset, groups, n_classes, None, None, config.likelihood_lambda or 1.0)
    if RULES[config.rule].tried:
        fitted = with_conditions(fitted, bank, config, run, to_map, names=names, made=made, settled=settled)
    else:
        used = config.position if settled is None else settled.position is not None
        fitted = _with_position(fitted, bank, config, run, to_map, used, gated=settled is None)
    if not config.neighborhood:
        return fitted
    from .neighborhood import train_neighborhood  # brings torch

    assert isinstance(features, Held)
    mlp = train_neighborhood(
        features.array, picked.labels, n_classes, window, config.mlp, run, seed=config.seed
    )
    return replace(fitted, neighborhood=TrainedNetwork(mlp))


def _with_position(
    fitted: Distribution, bank: Bank, config: Config, run: Run, to_map: ToMap, used: bool, *, gated: bool
) -> Distribution:
    """Return the distribution with position, where it is used and the gate lets it, and with λ."""
    gated = gated and used and config.position_gate
    calibrated = RULES[config.rule].calibrated
    if not gated and not calibrated:
        return replace(fitted, position=_position(bank, config, None, run.threads)) if used else fitted
    left_out = leave_out(bank, position=gated, to_map=to_map, threads=run.threads)
    gate = Gate.of(left_out) if gated else None
    scale = fitted.scale
    if calibrated and left_out is not None:
        scale = config.likelihood_lambda or tail_rate(left_out.distances)
    position = None
    if used and (gate is None or gate.kept):
        position = _position(bank, config, left_out if calibrated else None, run.threads)
    return replace(fitted, position=position, scale=scale, gate=gate)


def _position(bank: Bank, config: Config, left_out: LeftOut | None, threads: int) -> NDArray[np.float32]:
    """Return p(c|x): relative frequencies, shrunken where images left out say how far."""
    window = config.neighborhood_size
    histogram = position_histogram(bank.labels, bank.n_classes, patch=window, num_threads=threads)
    if left_out is None:
        return histogram
    return shrunken(bank.labels, histogram, window, left_out.chosen, threads)
