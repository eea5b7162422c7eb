"""Give a distribution the condition that good images speak for, or the one that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pni_fast.config import Config
from pni_fast.kernels import position_histogram
from pni_fast.runtime.run import Run

from .bank import Bank
from .described import Described
from .distribution import Distribution
from .left_out import ToMap
from .made import MadeDefects
from .trials import CONDITIONS, WEIGHTS, Trial, Trials
from .trying import Trying


def with_conditions(
    fitted: Distribution,
    bank: Bank,
    config: Config,
    run: Run,
    to_map: ToMap,
    *,
    names: Sequence[str],
    made: MadeDefects | None,
    settled: Distribution | None,
) -> Distribution:
    """Return a distribution with position or context or neither, its weight, and the trials.

    Without `config.position_gate` nothing is tried: what is switched on acts, context before position, with
    the largest weight there is.

    Parameters
    ----------
    fitted
        Coreset and groups.
    bank, config, run, to_map, names, made, settled
        As for :func:`.fit.fit_distribution`.
    """
    conditions = possible(config)
    described = Described.of(bank, config.context, run.threads) if "context" in conditions else None
    trials = None
    if settled is None and conditions and config.position_gate:
        trying = Trying(bank, conditions, described, to_map, made, config.seed)
        trials = trying.trials(run)
    choice = chosen(config, trials)
    condition, weight = choice.condition, choice.weight
    if settled is not None:
        condition, weight = settled.condition, settled.weight
    if condition == "none" and config.neighborhood:
        weight = WEIGHTS[-1]  # of neighborhood, which is not tried
    if condition == "position":
        histogram = position_histogram(
            bank.labels, bank.n_classes, patch=bank.window, num_threads=run.threads
        )
        return replace(fitted, position=histogram, weight=weight, trials=trials)
    if condition == "context":
        assert described is not None  # no other choice is possible where it is switched off
        return replace(fitted, context=described.whole(names), weight=weight, trials=trials)
    return replace(fitted, weight=weight, trials=trials)


def possible(config: Config) -> list[str]:
    """Return the conditions that are switched on, beside none, from the weakest to the strongest."""
    switched = {"position": config.position, "context": config.has_context}
    return [name for name in CONDITIONS if switched.get(name)]


def chosen(config: Config, trials: Trials | None) -> Trial:
    """Return the condition and the weight of a model: what its trials chose, or what its settings ask for.

    Parameters
    ----------
    config
        The settings.
    trials
        None where nothing was tried: good images have no say, or there was only one.
    """
    if trials is not None:
        return trials.choice
    names = possible(config)
    return Trial("none", 0.0) if config.position_gate or not names else Trial(names[-1], WEIGHTS[-1])
