"""More good images for a fitted model, without those it was fitted on.

The coreset grows: farthest patches of the new images first, as long as they are as far from it as its own
vectors are from each other, and by no smaller a share of them than in a fit. Everything else is counted on:
position and context over the classes there are, and the scores of the new images, each by the model without
it, beside the old ones.

What stays as it was: C_dist, the condition and its weight, λ, the networks, the range of maps; and the scores
of the old images, which knew nothing of the new ones. More vectors bring no patch farther away, so that these
are a little too high and what they promise is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.data import Source
from pni_fast.data.sizes import size_of
from pni_fast.decision import Decision
from pni_fast.decision.decision import CALIBRATION, LEFT_OUT
from pni_fast.errors import DataError, PniError
from pni_fast.features.extract import extract_features
from pni_fast.kernels import greedy_coreset, nearest
from pni_fast.runtime.feature_room import widened
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import one_torch_thread

from .decision_fit import Asked, Tally, digests_of, known_decision
from .ensemble import Ensemble, FittedModel
from .fitted import Fitted
from .grown import Grown, GrownBank

BLOCK = 256
"""Rows whose distances to each other are taken at once."""


@dataclass(frozen=True)
class Updated:
    """What an update did.

    Attributes
    ----------
    added
        Images that entered.
    known
        Names of images that the model was fitted on before: they are in already.
    vectors
        Vectors that each member's coreset grew by.
    """

    added: int
    known: tuple[str, ...]
    vectors: tuple[int, ...]


@one_torch_thread()
def update(model: FittedModel, sources: Sequence[Source], run: Run) -> tuple[FittedModel, Updated]:
    """Return a model that knows more good images.

    Parameters
    ----------
    model
        Stays as it is.
    sources
        Good images.
    run
        Told the stages of a fit.

    Raises
    ------
    PniError
        The model is of an older version and keeps no scores, or its rule cannot be counted on.
    DataError
        An image cannot be read, or all are in already.
    """
    decision = known_decision(model, "an update")
    if RULES[model.config.rule].calibrated and any(
        member.distribution.position is not None for member in model.members
    ):
        raise PniError(
            f"a model with the rule {model.config.rule!r} cannot be updated: how far its position is "
            "trusted follows from all images; fit it again"
        )
    digests = digests_of(sources, run)
    _, first = np.unique(digests, return_index=True)
    fresh = set(first[~np.isin(digests[first], decision.digests)].tolist())
    known = tuple(source.name for index, source in enumerate(sources) if index not in fresh)
    new = [source for index, source in enumerate(sources) if index in fresh]
    if not new:
        raise DataError(f"all {len(sources)} images are in the model already: nothing to update it with")
    _refuse_other_sizes(new, model.members[0].image_size)
    if decision.source == CALIBRATION:
        warnings.warn(
            f"the threshold was calibrated with {decision.count} good images that the model had never seen: "
            "if any of them are added here, calibrate again with others",
            stacklevel=2,
        )
    tally = Tally(model.config, Asked(decision.false_alarms, decision.confidence))
    grown = [_grow(member, new, run, tally) for member in model.members]
    sizes = [
        len(after.distribution.coreset) - len(before.distribution.coreset)
        for after, before in zip(grown, model.members, strict=True)
    ]
    if isinstance(model, Ensemble):
        whole: FittedModel = replace(model, config=_fixed(model.config, grown), members=tuple(grown))
        found = tally.decided(whole, run).decision
        whole = replace(whole, decision=_joined(decision, found))
    else:
        whole = grown[0]
    return whole, Updated(len(new), known, tuple(sizes))


def _refuse_other_sizes(sources: Sequence[Source], size: tuple[int, int] | None) -> None:
    """Refuse images of another size than all of the fit had: another camera, or another cut."""
    for source in sources if size is not None else ():
        own = size_of(source)
        if size is not None and own != tuple(size):
            raise DataError(
                f"{source.path or source.name}: must have the size of the images fitted on, "
                f"{size[0]}×{size[1]}, got {own[0]}×{own[1]}"
            )


def _joined(before: Decision | None, found: Decision | None) -> Decision | None:
    """Return a decision with more scores; those of images for calibration stay by themselves."""
    if before is None or found is None:
        return before
    joined = replace(before, digests=np.concatenate([before.digests, found.digests]))
    if before.source != LEFT_OUT:
        return joined
    return replace(
        joined,
        scores=np.sort(np.concatenate([before.scores, found.scores])),
        peaks=np.sort(np.concatenate([before.peaks, found.peaks])),
    )


def _fixed(config: Config, members: Sequence[Fitted]) -> Config:
    """Return the settings of an ensemble whose members keep their C_dist."""
    sizes = {member.distribution.n_classes for member in members}
    if len(sizes) > 1:
        raise PniError(
            f"members of an ensemble must have one size of C_dist to be updated, got {sorted(sizes)}"
        )
    return replace(config, distribution_size=sizes.pop())


def _grow(member: Fitted, sources: Sequence[Source], run: Run, tally: Tally) -> Fitted:
    """Return a member that knows more images, and tally the scores of these."""
    known, config = member.distribution, member.config
    extract = member.extractor.extraction(run)
    _, features = extract_features(extract, sources, config.geometry, run, dtype=config.feature_dtype)
    if member.inspected is not None:
        member.inspected.fill(features)
    rows = features.reshape(-1, features.shape[-1])
    picked, labels = growth(rows, known.coreset, known.n_classes, member.config_inside.coreset_ratio, run)
    labels = labels.reshape(features.shape[:3])
    added = widened(rows[picked])
    groups = known.groups
    if len(added):
        own, _ = nearest(added, known.coreset[: known.n_classes], num_threads=run.threads)
        groups = np.concatenate([groups, own])
    coreset = np.concatenate([known.coreset, added])
    bank = GrownBank(features, labels, picked, groups, config.neighborhood_size, coreset, known.n_classes)
    counted = Grown(member, bank, [source.name for source in sources], run)
    grown = replace(
        member,
        config=replace(config, distribution_size=known.n_classes),
        distribution=counted.without(bank.whole(), whole=True),
        n_images=member.n_images + bank.count,
    )
    told = tally.count(grown, Grown(grown, bank, counted.names, run, before=member), sources, run)
    return replace(told, decision=_joined(member.decision, told.decision))


def growth(
    rows: NDArray[np.floating[Any]], coreset: NDArray[np.float32], n_classes: int, ratio: float, run: Run
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that a coreset grows by to keep its radius, and the C_dist class of every row.

    Parameters
    ----------
    rows
        Features (n, d) of new images.
    coreset
        C_emb, C_dist first.
    n_classes
        K.
    ratio
        Share of the new rows that enter at least, as in a fit of all.
    run
        Told the stage "coreset".
    """
    least = radius(coreset, run.threads)
    fewest = size = max(1, int(len(rows) * ratio))
    while True:
        found = greedy_coreset(
            rows,
            min(size, len(rows)),
            initial=coreset,
            assign=n_classes,
            num_threads=run.threads,
            progress=lambda done, total: run.progress("coreset", done, total),
        )
        if found.radii[-1] < least or size >= len(rows):
            break
        size *= 4
    assert found.labels is not None  # asked for with `assign`
    count = max(fewest, int((found.radii >= least).sum()))
    return found.indices[:count][found.radii[:count] > 0], found.labels


def radius(rows: NDArray[np.float32], threads: int) -> float:
    """Return the least distance of two rows, infinity for one: to which a greedy coreset was picked."""
    if len(rows) <= BLOCK:
        wide = rows.astype(np.float64)
        squares = ((wide[:, None] - wide[None]) ** 2).sum(axis=2)
        np.fill_diagonal(squares, np.inf)
        return float(np.sqrt(squares.min()))
    half = len(rows) // 2
    across = float(nearest(rows[half:], rows[:half], num_threads=threads)[1].min())
    return min(across, radius(rows[:half], threads), radius(rows[half:], threads))
