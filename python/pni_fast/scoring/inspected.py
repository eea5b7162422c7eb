"""Scoring of a part of the picture: what lies outside the region decides nothing, and maps are 0 there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pni_fast.data.region import Region
from pni_fast.distribution.neighborhood import NeighborhoodMLP
from pni_fast.features.extractor import FeatureExtractor
from pni_fast.runtime.precision import FLOAT32, Precision

from .anomaly_map import Upsampler
from .image_maps import Maps
from .rules import Rule
from .scorer import Evidence, ForEach, Scorer


class InspectedScorer(Scorer):
    """A scorer that sees the patches of a region alone.

    Parameters
    ----------
    extractor, neighborhood, rule, upsampler, precision
        As for :class:`.scorer.Scorer`.
    region
        What is inspected.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        neighborhood: NeighborhoodMLP | None,
        rule: Rule,
        upsampler: Upsampler,
        precision: Precision = FLOAT32,
        *,
        region: Region,
    ) -> None:
        super().__init__(extractor, neighborhood, rule, upsampler, precision)
        self.region = region

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Return Φ, float32 (b, h, w, d), patches outside like the nearest inside."""
        features = super().features(crops)
        index = torch.from_numpy(self.region.sources).to(features.device)
        return features.flatten(1, 2)[:, index].reshape(features.shape)

    def anomaly_map(self, evidence: Evidence, threads: int) -> NDArray[np.float32]:
        """Return the map of one image, 0 outside."""
        return self.region.shown(super().anomaly_map(evidence, threads))


class InspectedMaps:
    """What gives maps, cut to a region once more: a refiner draws everywhere.

    Parameters
    ----------
    scorer
        What the maps come from.
    region
        What is inspected.
    """

    def __init__(self, scorer: Maps, region: Region) -> None:
        self.scorer, self.region = scorer, region

    def maps(self, crops: torch.Tensor, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the maps, float32 (crop, crop) each; arguments as for :meth:`.Scorer.maps`."""
        return [self.region.shown(found) for found in self.scorer.maps(crops, threads, for_each)]
