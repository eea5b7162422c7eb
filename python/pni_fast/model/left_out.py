"""Training images scored with everything the model uses, each as if it had never been in the fit.

Of an image left out its vectors leave the coreset, its labels position and context, as
:class:`pni_fast.distribution.bank.Bank` does it; the maps then go the way of any image: neighborhood, rule,
refinement. What stays are the decisions of the whole fit (condition, weight, λ), the networks' weights, and
places of the coreset that another image would have filled. The last leaves scores a little too high, so that
what they promise is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES
from pni_fast.data import Source
from pni_fast.data.cropping import read_crop
from pni_fast.data.spacing import evenly_spaced
from pni_fast.distribution.bank import Bank, Rest
from pni_fast.distribution.described import Described
from pni_fast.distribution.distribution import Distribution
from pni_fast.distribution.shrinkage import concentration, shrunken_by
from pni_fast.kernels import nearest
from pni_fast.kernels.bound import blended
from pni_fast.refinement.refined import RefinedScorer
from pni_fast.runtime.copies import on_device
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import ordered_map
from pni_fast.scoring.rules import RULE_CLASSES

from .fitted import Fitted

MOST = 500
"""Images left out, evenly spaced over the training set: enough for a rate of 0.2 %."""


Twins: TypeAlias = Mapping[int, Sequence[int]]
"""By the number of an image that is there more than once, the numbers of all that are the same, ascending."""


def chosen_images(bank: Bank, twins: Twins) -> list[int]:
    """Return the numbers of the images to leave out; none where nothing would be left.

    Of images that are the same only the first: a score that is there twice is no second good image.
    """
    distinct = [index for index in range(bank.count) if twins.get(index, (index,))[0] == index]
    chosen = [distinct[place] for place in evenly_spaced(len(distinct), MOST)]
    return [index for index in chosen if bank.can_lose(*twins.get(index, (index,)))]


def bank_of(features: NDArray[np.floating[Any]], known: Distribution, window: int, threads: int) -> Bank:
    """Return the bank of a fitted distribution, from the features it was fitted on, (n, h, w, d)."""
    rows = features.reshape(-1, features.shape[-1])
    labels, _ = nearest(rows, known.coreset[: known.n_classes], num_threads=threads)
    found, distances = nearest(rows, known.coreset, num_threads=threads)
    # Every vector is one of the rows, the nearest of those it is nearest to; of equals the first.
    order = np.lexsort((np.arange(len(rows)), distances, found))
    vectors, first = np.unique(found[order], return_index=True)
    picked = np.zeros(len(known.coreset), dtype=np.int64)
    picked[vectors] = order[first]
    labels = labels.reshape(features.shape[:3])
    return Bank(features, labels, picked, known.groups, window, known.n_classes)


class LeavingOut:
    """The model without one of its images after another.

    Parameters
    ----------
    fitted
        The finished model.
    bank
        Its training set.
    run
        Threads; where the networks are.
    twins
        Images that are the same go together: one would be found in the other.
    """

    def __init__(self, fitted: Fitted, bank: Bank, run: Run, twins: Twins) -> None:
        self.fitted, self.bank, self.run, self.twins = fitted, bank, run, twins
        self.whole = fitted.likelihood_scorer(run)
        self.fused = None if fitted.refiner is None else fitted.refiner.fused(run)
        known = fitted.distribution
        self.described: Described | None = None
        if known.context is not None:
            self.described = Described.of(bank, fitted.config.context, run.threads)
        self.strength: float | None = None
        if known.position is not None and RULES[fitted.config.rule].calibrated:
            self.strength = concentration(bank.labels, known.position, bank.window)

    def maps(self, sources: Sequence[Source], chosen: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Yield the final map of each chosen image, by the model without it; `sources` are all n images."""
        yield from ordered_map(lambda index: self.map(sources[index], index), chosen, self.run.threads)

    def map(self, source: Source, index: int) -> NDArray[np.float32]:
        """Return the final map of image number `index` by the model without it."""
        fitted = self.fitted
        found = self._likelihood_map(index)
        if self.fused is not None:
            crop = read_crop(source, fitted.config.geometry)
            (found,) = RefinedScorer(self.whole, self.fused, fitted.refiner_range).refine(crop[None], [found])
        return found if fitted.inspected is None else fitted.inspected.shown(found)

    def _likelihood_map(self, index: int) -> NDArray[np.float32]:
        """Return the map of an image before any refinement."""
        whole, run, fitted, bank = self.whole, self.run, self.fitted, self.bank
        shape = (bank.height, bank.width)
        scores = self._known_scores(index)
        if scores is not None:
            known = whole.upsampler(scores.reshape(shape))
            return known if fitted.inspected is None else fitted.inspected.shown(known)
        rest = bank.without(*self.twins.get(index, (index,)))
        rule = RULE_CLASSES[fitted.config.rule](self.without(rest), run.device)
        grid = bank.of(index).reshape(1, *shape, -1)
        return whole.with_rule(rule).feature_maps(on_device(grid, run.device), threads=1)[0]

    def _known_scores(self, index: int) -> NDArray[np.float32] | None:
        """Return S(x) of an image by the distances found when conditions were tried; None where it was not.

        Only the rule ``"blend"`` tries conditions, and this is its S(x).
        """
        fitted, found = self.fitted.distribution, self.bank.left_out.get(index)
        if found is None or index in self.twins or fitted.neighborhood is not None:
            return None
        distances = blended(found["none"], found[fitted.condition], fitted.weight)
        scores: NDArray[np.float32] = distances * np.float32(fitted.scale)
        return scores

    def without(self, rest: Rest) -> Distribution:
        """Return the distribution of what is left."""
        known, bank = self.fitted.distribution, self.bank
        position = known.position
        if position is not None:
            position = bank.histogram(rest)
            if self.strength is not None:
                position = shrunken_by(rest.labels, position, bank.window, self.strength)
        context = None if self.described is None else self.described.without(rest)
        return replace(known, coreset=rest.coreset, groups=rest.groups, position=position, context=context)
