"""Score patch features against a fitted normal distribution (paper section 3.1, equations 2 to 8)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.features.stored import Extract
from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.precision import FLOAT32, Precision

from .anomaly_map import Upsampler
from .neighborhood import ReadyNeighborhood
from .rules import Rule

if TYPE_CHECKING:
    from pni_fast.distribution.neighborhood import NeighborhoodMLP

ForEach: TypeAlias = Callable[
    [Callable[..., NDArray[np.float32]], Iterable["Evidence"]], Iterable[NDArray[np.float32]]
]
"""Applies a function to each image of a batch and yields the results in order: ``map``, or a pool's."""


@dataclass(frozen=True)
class Evidence:
    """What the networks say of one image, on the host.

    Parameters
    ----------
    grid
        Φ, float32 (h, w, d).
    conditions
        What the rule needs of the conditions, see :meth:`pni_fast.scoring.rules.Rule.evidence`.
    """

    grid: NDArray[np.float32]
    conditions: list[NDArray[Any] | None]


class Scorer:
    """S(x) = −log max_c p(Φ(x)|c) p(c|Ω) as an anomaly map, the conditions acting as the rule says.

    Parameters
    ----------
    extract
        Backbone and patch aggregation.
    neighborhood
        The MLP, on the device of the rule, or None where it is switched off.
    rule
        What the conditions do to the search.
    upsampler
        From the grid of scores to the map.
    precision
        Of the MLP.
    """

    def __init__(
        self,
        extract: Extract,
        neighborhood: NeighborhoodMLP | None,
        rule: Rule,
        upsampler: Upsampler,
        precision: Precision = FLOAT32,
    ) -> None:
        self.extract = extract
        self.neighborhood = None if neighborhood is None else ReadyNeighborhood(neighborhood, precision)
        self.upsampler = upsampler
        self._take(rule)

    def _take(self, rule: Rule) -> None:
        self.rule = rule
        self._conditions = None if self.neighborhood is None else self.neighborhood.conditions(rule)

    def with_rule(self, rule: Rule) -> Scorer:
        """Return this scorer under another rule, on the same device; the networks are shared."""
        other = copy.copy(self)
        other._take(rule)
        return other

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the anomaly maps, float32 (H, W) each, of uint8 crops (b, H, W, 3).

        Parameters
        ----------
        crops
            On the device of the networks: an array on a CPU.
        threads
            Threads for the search of one image.
        for_each
            Applies a function to each image of the batch.
        """
        return self.feature_maps(self.features(crops), threads, for_each)

    def features(self, crops: Values) -> Values:
        """Return Φ, float32 (b, h, w, d), of uint8 crops (b, H, W, 3)."""
        return self.extract(crops)

    def feature_maps(
        self, features: Values, threads: int, for_each: ForEach = map
    ) -> list[NDArray[np.float32]]:
        """Return the maps of patch features (b, h, w, d) on any device; arguments as for :meth:`maps`."""
        evidence = self.evidence(features)
        return list(for_each(lambda one: self.anomaly_map(one, threads), evidence))

    def evidence(self, features: Values) -> list[Evidence]:
        """Return what the search needs of features (b, h, w, d), by image: all the networks' work."""
        parts = self.conditions(features)
        grids, *found = to_host(features, *(part for part in parts if part is not None))
        arrays = iter(found)
        each = [None if part is None else next(arrays) for part in parts]
        # What position decides alone has no dimension for the image.
        return [
            Evidence(grid, [part if part is None or part.ndim == 2 else part[index] for part in each])
            for index, grid in enumerate(grids)
        ]

    def conditions(self, features: Values) -> list[Values | None]:
        """Return the rule's evidence of patch features (b, h, w, d), where the networks are."""
        return self.rule.evidence(None) if self._conditions is None else self._conditions(features)

    def anomaly_map(self, evidence: Evidence, threads: int) -> NDArray[np.float32]:
        """Return the map of one image: all the search's work."""
        height, width, dimension = evidence.grid.shape
        rows = evidence.grid.reshape(-1, dimension)
        scores = self.rule.scores(rows, evidence.conditions, threads)
        return self.upsampler(scores.reshape(height, width))
