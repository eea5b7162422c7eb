"""Likelihood maps of a scorer, refined and fused (paper sections 3.3 and 4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast.runtime.copies import Values, to_host
from pni_fast.scoring.map_range import normalised
from pni_fast.scoring.scorer import ForEach, Scorer

from .stored import Fused


class RefinedScorer:
    """A scorer whose maps go through a refinement network.

    Parameters
    ----------
    scorer
        Gives the likelihood maps.
    fused
        Refines normalised maps and fuses them, see :meth:`.stored.StoredRefiner.fused`.
    span
        Values of the likelihood map that the refiner sees as 0 and 1.
    """

    def __init__(self, scorer: Scorer, fused: Fused, span: tuple[float, float]) -> None:
        self.scorer = scorer
        self.fused = fused
        self.span = span

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the final maps, float32 (H, W) each; arguments as for :meth:`Scorer.maps`."""
        return self.refine(to_host(crops)[0], self.scorer.maps(crops, threads, for_each))

    def refine(self, crops: NDArray[np.uint8], maps: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the final maps of crops, (b, H, W, 3), and their likelihood maps."""
        return list(self.fused(crops, normalised(np.stack(maps), *self.span)))
