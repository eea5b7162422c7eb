"""Likelihood maps of a scorer, refined and fused (paper sections 3.3 and 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.precision import FLOAT32, Precision
from pni_fast.scoring.map_range import normalised
from pni_fast.scoring.scorer import ForEach, Scorer

if TYPE_CHECKING:
    from .network import RefinementNetwork


class RefinedScorer:
    """A scorer whose maps go through a refinement network.

    Parameters
    ----------
    scorer
        Gives the likelihood maps.
    refiner
        On the device of the scorer's networks.
    span
        Values of the likelihood map that the refiner sees as 0 and 1.
    precision
        Of the refiner's layers.
    """

    def __init__(
        self,
        scorer: Scorer,
        refiner: RefinementNetwork,
        span: tuple[float, float],
        precision: Precision = FLOAT32,
    ) -> None:
        self.scorer = scorer
        self.refiner = refiner
        self.span = span
        self.precision = precision

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the final maps, float32 (crop, crop) each; arguments as for :meth:`Scorer.maps`."""
        return self.refine(to_host(crops)[0], self.scorer.maps(crops, threads, for_each))

    def refine(self, crops: NDArray[np.uint8], maps: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the final maps of crops, (b, crop, crop, 3), and their likelihood maps."""
        return list(self.refiner.fused(crops, normalised(np.stack(maps), *self.span), self.precision))
