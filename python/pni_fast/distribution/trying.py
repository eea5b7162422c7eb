"""Try conditions on images left out of the fit, untouched and with defects made in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pni_fast.data.spacing import evenly_spaced
from pni_fast.kernels import nearest
from pni_fast.kernels.bound import blended, bound_by_each
from pni_fast.kernels.ranking import auroc, f1_max
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import ordered_map

from .bank import Bank, Rest, nearest_without
from .context import Context
from .described import Described
from .gate import risk_of
from .left_out import ToMap, at_patches
from .made import MadeDefects, moved, swapped
from .trials import CONDITIONS, WEIGHTS, Trial, Trials

MOST_SCORED = 200
"""Images left out whose scores say what a condition risks."""

MOST_TRIED = 24
"""Of them, images that defects are made in."""

PLACES = 1000
"""Values of a map, about, that count for pixel F1max."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image under every row of the plan.

    Parameters
    ----------
    scores
        (rows,) float64.
    maps
        (rows, h, w) float32, at the patches.
    mask
        (h, w) bool: where a defect was made.
    """

    scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of one image left out.

    Parameters
    ----------
    good
        The image untouched.
    made
        By kind, the image with a defect.
    alone
        The image untouched and without the one that its swapped window is of; None where none was swapped.
    """

    good: Picture
    made: dict[str, Picture]
    alone: Picture | None = None


@dataclass(frozen=True, eq=False)
class Trying:
    """How conditions are tried.

    Parameters
    ----------
    bank
        The training set.
    conditions
        Those that may act.
    described
        The training set as context sees it; None where context may not act.
    to_map
        From a grid of scores to the anomaly map.
    made
        Draws defects in an image and extracts its features; None leaves the kinds out that need it.
    seed
        Of the defects that are made.
    """

    bank: Bank
    conditions: Sequence[str]
    described: Described | None
    to_map: ToMap
    made: MadeDefects | None
    seed: int

    @property
    def plan(self) -> list[tuple[str, float]]:
        """Conditions with their weights, from the weakest to the strongest."""
        used = [name for name in CONDITIONS[1:] if name in self.conditions]
        return [("none", 0.0), *((name, weight) for name in used for weight in WEIGHTS)]

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the maps of features."""
        return self.bank.height, self.bank.width

    def trials(self, run: Run) -> Trials | None:
        """Return what was found; None where no image can be left out, as when there is only one.

        Parameters
        ----------
        run
            Told the stage "conditions"; the result does not depend on its threads.
        """
        chosen = [index for index in evenly_spaced(self.bank.count, MOST_SCORED) if self.bank.can_lose(index)]
        if not chosen:
            return None
        places = {chosen[at]: place for place, at in enumerate(evenly_spaced(len(chosen), MOST_TRIED))}
        scores, free, tried = [], [], []
        found_by = ordered_map(lambda image: self.left_out(image, places), chosen, run.threads)
        for done, (index, found) in enumerate(zip(chosen, found_by, strict=True), 1):
            run.progress("conditions", done, len(chosen))
            scores.append(found.good.scores)
            free.append(found.good.maps[0])
            if index in places:
                tried.append(found)
        rises = np.stack(scores)
        rises -= rises[:, :1]
        rates = np.stack(free)
        rows = [
            Trial(condition, weight, risk_of(rises[:, row], rates), self._seen(tried, row))
            for row, (condition, weight) in enumerate(self.plan)
        ]
        return Trials.decided(rows)

    def left_out(self, index: int, places: dict[int, int]) -> Tried:
        """Return what an image scores without itself; with made defects where it has a place in `places`.

        The distances of the image itself stay in the bank.
        """
        own, rest = self.bank.of(index), self.bank.without(index)
        sets = self._sets(rest)
        nowhere = np.zeros(self.shape, dtype=bool)
        found = self.bank.nearest_left(index, own, rest)
        self.bank.left_out[index] = self._distances(own, found, rest, sets)
        good = self._pictured(self.bank.left_out[index], nowhere)
        if index not in places:
            return Tried(good, {})
        rng = np.random.default_rng((self.seed, index))
        source, mask = moved(self.shape, rng)
        # The nearest vectors of patches that only change their places are known.
        here = found[0][source], found[1][source]
        made = {"move": self._pictured(self._distances(own[source], here, rest, sets), mask)}
        drawn = {} if self.made is None else self.made(index, places[index])
        for kind, (features, mask) in drawn.items():
            here = nearest(features, rest.coreset, num_threads=1)
            made[kind] = self._pictured(self._distances(features, here, rest, sets), mask)
        others = np.setdiff1d(np.arange(self.bank.count), index)
        other = int(rng.choice(others))
        if not self.bank.can_lose(index, other):
            return Tried(good, made)
        owner, rest = rest.owner, self.bank.without(index, other)
        found = nearest_without(own, found, owner, rest.coreset, other)
        sets = self._sets(rest)
        alone = self._pictured(self._distances(own, found, rest, sets), nowhere)
        mask = swapped(self.shape, rng)
        window = mask.ravel()
        features, here = own.copy(), (found[0].copy(), found[1].copy())
        features[window] = self.bank.of(other)[window]
        here[0][window], here[1][window] = nearest(features[window], rest.coreset, num_threads=1)
        made["swap"] = self._pictured(self._distances(features, here, rest, sets), mask)
        return Tried(good, made, alone)

    def _sets(self, rest: Rest) -> dict[str, NDArray[np.uint8] | Context]:
        """Return what each condition allows without some images; context depends on the image at hand."""
        sets: dict[str, NDArray[np.uint8] | Context] = {}
        if "position" in self.conditions:
            sets["position"] = self.bank.position_sets(rest)
        if self.described is not None:
            sets["context"] = self.described.without(rest)
        return sets

    def _distances(
        self,
        rows: NDArray[np.float32],
        nearest_of: tuple[NDArray[np.int64], NDArray[np.float32]],
        rest: Rest,
        sets: dict[str, NDArray[np.uint8] | Context],
    ) -> dict[str, NDArray[np.float32]]:
        """Return by condition the distances of features (h·w, d), of which `nearest` says `nearest_of`."""
        found, free = nearest_of
        bits = [one.allowed(rows, 1) if isinstance(one, Context) else one for one in sets.values()]
        bound = bound_by_each(rows, rest.coreset, rest.groups, bits, found, free, num_threads=1)
        return {"none": free, **dict(zip(sets, bound, strict=True))}

    def _pictured(self, distances: Mapping[str, NDArray[np.float32]], mask: NDArray[np.bool_]) -> Picture:
        """Return an image of these distances by condition, under the whole plan."""
        maps = {name: self.to_map(found.reshape(self.shape)) for name, found in distances.items()}
        plan = self.plan
        scores, small = np.empty(len(plan)), np.empty((len(plan), *self.shape), dtype=np.float32)
        whole = np.empty_like(maps["none"])
        for row, (name, weight) in enumerate(plan):
            # Maps are linear in the distances, so they may be weighed instead.
            blended(maps["none"], maps[name], weight, out=whole)
            scores[row], small[row] = whole.max(), at_patches(whole, self.shape)
        return Picture(scores, small, mask)

    def _seen(self, tried: Sequence[Tried], row: int) -> dict[str, tuple[float, float]]:
        """Return the figures of every kind of defect under a row of the plan."""
        kinds = list(dict.fromkeys(kind for found in tried for kind in found.made))
        good = [found.good for found in tried]
        alone = [found.alone for found in tried if found.alone is not None]
        step = max(1, round(math.sqrt(self.bank.area / PLACES)))
        return {
            kind: told_apart(
                alone if kind == "swap" else good,
                [found.made[kind] for found in tried if kind in found.made],
                row,
                step,
            )
            for kind in sorted(kinds)
        }


def told_apart(
    good: Iterable[Picture], defective: Iterable[Picture], row: int, step: int = 1
) -> tuple[float, float]:
    """Return the image AUROC and the pixel F1max of defective images against good ones.

    Parameters
    ----------
    good, defective
        At least one image of each.
    row
        Of the plan.
    step
        Every how many places of a map count.
    """
    groups = [list(good), list(defective)]
    normal, changed = (np.sort([one.scores[row] for one in pictures]) for pictures in groups)
    pictures = groups[0] + groups[1]
    masks = np.concatenate([one.mask[::step, ::step].ravel() for one in pictures])
    values = np.concatenate([one.maps[row, ::step, ::step].ravel() for one in pictures])
    sound, marked = np.sort(values[~masks]), np.sort(values[masks])
    return auroc(normal, changed), f1_max(sound, marked)[0] if len(marked) else 0.0
