"""Position, context and coreset counted on by new images, all of them or without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distribution.bank import Bank, Rest
from pni_fast.distribution.context import Context, covering
from pni_fast.distribution.distribution import Distribution
from pni_fast.kernels import position_histogram
from pni_fast.runtime.run import Run

from .fitted import Fitted
from .left_out import LeavingOut


class GrownBank(Bank):
    """New images beside a coreset that old ones, which are not here, have a share in.

    Parameters
    ----------
    features, labels, picked, groups, window
        As for :class:`Bank`, of the new images; `groups` of the whole coreset.
    coreset
        C_emb, that of the old images first.
    n_classes
        K.
    """

    def __init__(
        self,
        features: NDArray[np.floating[Any]],
        labels: NDArray[np.int64],
        picked: NDArray[np.int64],
        groups: NDArray[np.int64],
        window: int,
        coreset: NDArray[np.float32],
        n_classes: int,
    ) -> None:
        super().__init__(features, labels, picked, groups, window, n_classes)
        old = np.full(len(coreset) - len(picked), -1, dtype=np.int64)  # of no image that may be left out
        self.owner, self.coreset = np.concatenate([old, self.owner]), coreset

    def whole(self) -> Rest:
        """Return everything, nothing left out."""
        kept, none = np.arange(self.count), np.zeros(0, dtype=np.int64)
        return Rest(self.coreset, self.groups, kept, self.owner, self.labels, none, none)


class Grown(LeavingOut):
    """Position and context counted on from a model by new images, all of them or without one.

    Parameters
    ----------
    fitted
        The model to score with.
    bank
        The new images.
    names
        Of them.
    run
        As for :class:`LeavingOut`.
    before
        The model without the new images; `fitted` itself where it is that.
    """

    def __init__(
        self, fitted: Fitted, bank: GrownBank, names: Sequence[str], run: Run, before: Fitted | None = None
    ) -> None:
        super().__init__(fitted, bank, run, {})
        self.before, self.names = fitted if before is None else before, list(names)

    def without(self, rest: Rest, *, whole: bool = False) -> Distribution:
        """Return the distribution of the old images and of what is left of the new ones."""
        known, old, bank = self.before.distribution, self.before.n_images, self.bank
        position, context, new = known.position, known.context, len(rest.kept)
        if position is not None and new:
            seen = position_histogram(rest.labels, bank.n_classes, patch=bank.window, num_threads=1)
            position = (position * np.float32(old) + seen * np.float32(new)) / np.float32(old + new)
        if context is not None and self.described is not None:
            most = self.before.config.context.most if whole else None
            context = grown_context(
                context,
                old,
                rest.labels,
                self.described.descriptors[rest.kept],
                [self.names[index] for index in rest.kept],
                most,
                self.run.threads,
            )
        return replace(known, coreset=rest.coreset, groups=rest.groups, position=position, context=context)


def grown_context(
    context: Context,
    count: int,
    labels: NDArray[np.int64],
    descriptors: NDArray[np.float32],
    names: Sequence[str],
    most: int | None,
    threads: int,
) -> Context:
    """Return a context with more images.

    Parameters
    ----------
    context, count
        What is known, and of how many images its center and spread are.
    labels, descriptors, names
        Of the new images.
    most
        Images kept at most; None keeps all.
    threads
        CPU threads; the result does not depend on them.
    """
    new = len(descriptors)
    if not new:
        return context
    center, spread = context.center.astype(np.float64), context.spread.astype(np.float64)
    spread = np.where(spread == 1, 0, spread)  # 1 stands for no spread at all
    mean, deviation = descriptors.mean(0, dtype=np.float64), descriptors.std(0, dtype=np.float64)
    total = count + new
    together = (center * count + mean * new) / total
    squares = (spread**2 + center**2) * count + (deviation**2 + mean**2) * new
    wide = np.sqrt(np.maximum(squares / total - together**2, 0))
    wide[wide < 1e-6 * np.abs(together) + 1e-12] = 1.0
    own = np.concatenate([context.labels, labels.astype(np.uint16)])
    each = np.concatenate([context.descriptors, descriptors])
    kept = np.arange(len(own))
    if most is not None:
        kept = covering(each, own[0].size, most, threads)
    called = [*context.names, *names] if context.names else []
    return replace(
        context,
        labels=np.ascontiguousarray(own[kept]),
        descriptors=np.ascontiguousarray(each[kept]),
        center=together.astype(np.float32),
        spread=wide.astype(np.float32),
        names=tuple(called[index] for index in kept) if called else (),
    )
