"""Score patch features against a fitted normal distribution (paper section 3.1, equations 2 to 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .anomaly_map import Upsampler
from .compiling import Compiled, compiles
from .conditions import Conditions
from .features import FeatureExtractor
from .kernels import max_likelihood, nearest
from .neighborhood import NeighborhoodMLP
from .penalized import penalized_nearest
from .precision import FLOAT32, Precision
from .refinement import RefinementNetwork
from .transfer import to_host

Spread = Callable[[Callable[..., NDArray[np.float32]], Iterable["Evidence"]], Iterable[NDArray[np.float32]]]
"""Applies a function to each image of a batch, in order."""


@dataclass(frozen=True)
class Evidence:
    """What the networks say of one image, on the host.

    Parameters
    ----------
    grid
        Φ, float32 (h, w, d).
    conditions
        The allowed classes, packed, uint8 (h·w, ceil(K/8)), once or under each condition, None where all are;
        under the rule ``"penalty"`` p(c | N_p(x)), float32 (h·w, K), where there is an MLP.
    """

    grid: NDArray[np.float32]
    conditions: list[NDArray[Any] | None]


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
        kernel = self._kernel = None if neighborhood is None else neighborhood.scoring_kernel(precision)

        def thresholds(inputs: torch.Tensor) -> list[torch.Tensor | None]:
            assert neighborhood is not None
            assert kernel is not None
            return conditions.allowed(neighborhood.classes(inputs, kernel))

        compiled = neighborhood is not None and compiles(neighborhood.offsets.device)
        self._thresholds: Callable[[torch.Tensor], list[torch.Tensor | None]] = (
            Compiled(lambda inner, inputs: inner(inputs), thresholds) if compiled else thresholds
        )

    def maps(self, crops: torch.Tensor, num_threads: int, spread: Spread = map) -> list[NDArray[np.float32]]:
        """Return the anomaly maps, float32 (crop, crop) each, of uint8 crops (b, crop, crop, 3).

        Parameters
        ----------
        crops
            On the device of the networks.
        num_threads
            Threads for the search of one image.
        spread
            Applies a function to each image of the batch, in order: ``map``, or that of a pool.
        """
        maps = self.likelihood_maps(self.features(crops), num_threads, spread)
        return maps if self.refiner is None else self.refine(to_host(crops)[0], maps)

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

    def likelihood_maps(
        self, features: torch.Tensor, num_threads: int, spread: Spread = map
    ) -> list[NDArray[np.float32]]:
        """Return the maps of −log p(Φ(x) | Ω) of patch features (b, h, w, d) on any device.

        `num_threads` and `spread` as for :meth:`maps`.
        """
        evidence = self.evidence(features)
        return list(spread(lambda one: self.likelihood_map(one, num_threads), evidence))

    def evidence(self, features: torch.Tensor) -> list[Evidence]:
        """Return what the search needs of each image's patch features (b, h, w, d): all the networks' work.

        Thresholds are applied where the features are; what comes to the host of p(c|Ω) is one bit a class.
        """
        parts: list[torch.Tensor | None]
        if self.conditions.rule == "penalty":
            parts = [] if self.neighborhood is None else [self.probabilities(features)]
        else:
            parts = self.allowed(features)
        grids, *found = to_host(features, *(part for part in parts if part is not None))
        arrays = iter(found)
        each = [None if part is None else next(arrays) for part in parts]
        # What position decides alone has no dimension for the image.
        return [
            Evidence(grid, [part if part is None or part.ndim == 2 else part[index] for part in each])
            for index, grid in enumerate(grids)
        ]

    @torch.inference_mode()
    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Return p(c_dist | N_p(x)), float32 (b, h·w, K), of patch features (b, h, w, d)."""
        assert self.neighborhood is not None
        assert self._kernel is not None
        inputs = self.neighborhood.reduce(features)
        with self.precision.in_networks():
            return self.neighborhood.classes(inputs, self._kernel)

    @torch.inference_mode()
    def allowed(self, features: torch.Tensor) -> list[torch.Tensor | None]:
        """Return the packed allowed classes of patch features; see :meth:`Conditions.allowed`."""
        if self.neighborhood is None:
            return self.conditions.allowed(None)
        inputs = self.neighborhood.reduce(features)
        with self.precision.in_networks():
            return self._thresholds(inputs)

    def likelihood_map(self, evidence: Evidence, num_threads: int) -> NDArray[np.float32]:
        """Return the map of −log p(Φ(x) | Ω) of one image: all the search's work."""
        height, width, dimension = evidence.grid.shape
        rows = evidence.grid.reshape(-1, dimension)
        if self.conditions.rule == "penalty":
            probability = evidence.conditions[0] if evidence.conditions else None
            scores = self._penalized(rows, probability, num_threads)
        else:
            found = [self._nearest(rows, bits, num_threads) for bits in evidence.conditions]
            scores = found[0] if len(found) == 1 else (found[0] + found[1]) * np.float32(0.5)
        return self.upsampler((scores * self.scale).reshape(height, width))

    def _nearest(
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
            return self._nearest(rows, None, num_threads)
        return penalized_nearest(
            rows, self.coreset, self.groups, penalty / self.scale, num_threads=num_threads
        )
