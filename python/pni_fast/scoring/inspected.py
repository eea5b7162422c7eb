"""Scoring of a part of the picture: what lies outside the region decides nothing, and maps are 0 there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.data.inspected import Inspected
from pni_fast.features.stored import Extract
from pni_fast.runtime.copies import Values
from pni_fast.runtime.precision import FLOAT32, Precision

from .anomaly_map import Upsampler
from .image_maps import Maps
from .rules import Rule
from .scorer import Evidence, ForEach, Scorer

if TYPE_CHECKING:
    from pni_fast.distribution.neighborhood import NeighborhoodMLP


class InspectedScorer(Scorer):
    """A scorer that sees the patches of a region alone.

    Parameters
    ----------
    extract, neighborhood, rule, upsampler, precision
        As for :class:`.scorer.Scorer`.
    inspected
        What is inspected.
    """

    def __init__(
        self,
        extract: Extract,
        neighborhood: NeighborhoodMLP | None,
        rule: Rule,
        upsampler: Upsampler,
        precision: Precision = FLOAT32,
        *,
        inspected: Inspected,
    ) -> None:
        super().__init__(extract, neighborhood, rule, upsampler, precision)
        self.inspected = inspected

    def features(self, crops: Values) -> Values:
        """Return Φ, float32 (b, h, w, d), patches outside like the nearest inside."""
        features, index = super().features(crops), self.inspected.sources
        if isinstance(features, np.ndarray):
            count, _, _, dimension = features.shape
            filled: Values = features.reshape(count, -1, dimension)[:, index].reshape(features.shape)
            return filled
        import torch

        own = torch.from_numpy(index).to(features.device)
        return features.flatten(1, 2)[:, own].reshape(features.shape)

    def anomaly_map(self, evidence: Evidence, threads: int) -> NDArray[np.float32]:
        """Return the map of one image, 0 outside."""
        return self.inspected.shown(super().anomaly_map(evidence, threads))


class InspectedMaps:
    """What gives maps, cut to a region once more: a refiner draws everywhere.

    Parameters
    ----------
    scorer
        What the maps come from.
    inspected
        What is inspected.
    """

    def __init__(self, scorer: Maps, inspected: Inspected) -> None:
        self.scorer, self.inspected = scorer, inspected

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the maps, float32 (H, W) each; arguments as for :meth:`.Scorer.maps`."""
        return [self.inspected.shown(found) for found in self.scorer.maps(crops, threads, for_each)]
