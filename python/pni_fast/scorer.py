"""Score patch features against a fitted normal distribution (paper section 3.1, equations 2 to 8)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .anomaly_map import Upsampler
from .conditions import Conditions
from .features import FeatureExtractor
from .kernels import max_likelihood, nearest
from .neighborhood import NeighborhoodMLP
from .penalized import penalized_nearest
from .precision import FLOAT32, Precision
from .refinement import RefinementNetwork


class Scorer:
    """S(x) = −log max_c p(Φ(x)|c) T_τ(p(c|Ω)) = λ · distance to the nearest allowed c_emb, as an anomaly map.

    Under the rule ``"penalty"`` p(c|Ω) stays as it is: S(x) = min_c λ‖Φ(x) − c‖ − log p(c|Ω).

    Parameters
    ----------
    extractor
        Backbone and patch aggregation.
    coreset
        C_emb, float32 (m, d), in the greedy order.
    groups
        Index of the nearest C_dist vector of each row of C_emb, int64 (m,).
    conditions
        The allowed classes, or what each class costs.
    neighborhood
        The MLP, or None where it is switched off.
    upsampler
        From the grid of scores to the map.
    scale
        λ of p(Φ|c) = exp(−λ‖Φ − c‖).
    refiner, refiner_range
        The refinement network, or None, and the map values it sees as 0 and 1 (section 3.3).
    precision
        Of the networks.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        coreset: NDArray[np.float32],
        groups: NDArray[np.int64],
        conditions: Conditions,
        neighborhood: NeighborhoodMLP | None,
        upsampler: Upsampler,
        scale: float = 1.0,
        refiner: RefinementNetwork | None = None,
        refiner_range: tuple[float, float] = (0.0, 1.0),
        precision: Precision = FLOAT32,
    ) -> None:
        self.extractor = extractor
        self.coreset = coreset
        self.groups = groups
        self.conditions = conditions
        self.neighborhood = neighborhood
        self.upsampler = upsampler
        self.scale = np.float32(scale)
        self.refiner = refiner
        self.refiner_range = refiner_range
        self.precision = precision
        self._kernel = None if neighborhood is None else neighborhood.scoring_kernel(precision)

    def maps(self, crops: torch.Tensor, num_threads: int) -> list[NDArray[np.float32]]:
        """Return the anomaly maps, float32 (crop, crop) each, of uint8 crops (b, crop, crop, 3)."""
        maps = self.likelihood_maps(self.features(crops), num_threads)
        return maps if self.refiner is None else self.refine(crops.cpu().numpy(), maps)

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Return Φ, float32 (b, h, w, d), of uint8 crops (b, crop, crop, 3)."""
        with self.precision.in_backbone():
            features: torch.Tensor = self.extractor(crops)
        return features

    def refine(self, crops: NDArray[np.uint8], maps: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Normalise likelihood maps and fuse them with their refinement (section 3.3 and 4.1)."""
        assert self.refiner is not None
        low, high = self.refiner_range
        normalised = (np.stack(maps) - np.float32(low)) / np.float32(high - low)
        return list(self.refiner.fused(crops, normalised, self.precision))

    def likelihood_maps(self, features: torch.Tensor, num_threads: int) -> list[NDArray[np.float32]]:
        """Return the maps of −log p(Φ(x) | Ω) of patch features (b, h, w, d) on any device."""
        probabilities: list[NDArray[np.float32] | None] = [None] * len(features)
        if self.neighborhood is not None:
            found = self.neighborhood.probabilities(features, self._kernel, self.precision)
            probabilities = list(found.cpu().numpy())
        grids = features.cpu().numpy()
        return [
            self._map(grid, probability, num_threads)
            for grid, probability in zip(grids, probabilities, strict=True)
        ]

    def _map(
        self, grid: NDArray[np.float32], probability: NDArray[np.float32] | None, num_threads: int
    ) -> NDArray[np.float32]:
        height, width, dimension = grid.shape
        rows = grid.reshape(-1, dimension)
        if self.conditions.rule == "penalty":
            scores = self._penalized(rows, probability, num_threads)
        else:
            found = [self._allowed(rows, bits, num_threads) for bits in self.conditions.allowed(probability)]
            scores = found[0] if len(found) == 1 else (found[0] + found[1]) * np.float32(0.5)
        return self.upsampler((scores * self.scale).reshape(height, width))

    def _allowed(
        self, rows: NDArray[np.float32], allowed: NDArray[np.uint8] | None, num_threads: int
    ) -> NDArray[np.float32]:
        """Return the distance of each row to the nearest allowed coreset vector."""
        if allowed is None:
            return nearest(rows, self.coreset, num_threads=num_threads)[1]
        return max_likelihood(rows, self.coreset, self.groups, allowed, num_threads=num_threads)[0]

    def _penalized(
        self, rows: NDArray[np.float32], probability: NDArray[np.float32] | None, num_threads: int
    ) -> NDArray[np.float32]:
        """Return min over c of distance − log p(c|Ω) / λ: the score in units of distance."""
        penalty = self.conditions.penalty(probability)
        if penalty is None:
            return self._allowed(rows, None, num_threads)
        return penalized_nearest(
            rows, self.coreset, self.groups, penalty / self.scale, num_threads=num_threads
        )
