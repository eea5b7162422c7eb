"""What a fit leaves behind: the arrays and networks of a model, ready to score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from .anomaly_map import Upsampler
from .conditions import Conditions
from .distribution import Distribution, distribution_size
from .features import FeatureExtractor
from .precision import FLOAT32, Precision
from .presets import Config
from .refinement import RefinementNetwork
from .scorer import Scorer

PARTS = ("position", "neighborhood", "refinement")
"""What a model may have besides PatchCore."""


@dataclass(frozen=True)
class Fitted:
    """A fitted model (see the attributes of :class:`pni_fast.PNI`).

    Parameters
    ----------
    config
        All settings.
    weights_source
        Where the backbone's weights came from.
    extractor
        Backbone and patch aggregation.
    grid
        (h, w) of the feature maps.
    distribution
        Coreset, groups, position histogram and neighborhood MLP.
    n_images
        Images fitted on.
    normalization
        Lowest and highest value of the final maps on normal images.
    refiner
        The refinement network, or None.
    refiner_range
        Values of the likelihood map that the refiner sees as 0 and 1.
    """

    config: Config
    weights_source: str
    extractor: FeatureExtractor
    grid: tuple[int, int]
    distribution: Distribution
    n_images: int
    normalization: tuple[float, float] = (0.0, 1.0)
    refiner: RefinementNetwork | None = None
    refiner_range: tuple[float, float] = (0.0, 1.0)

    @property
    def n_classes(self) -> int:
        """|C_dist|."""
        return distribution_size(len(self.distribution.coreset), self.config)

    @property
    def members(self) -> tuple[Fitted, ...]:
        """The model itself, alone, where an ensemble has several."""
        return (self,)

    def attribute(self, name: str) -> Any:
        """Return a field of the model or of its distribution; raises AttributeError where there is none."""
        for holder in (self, self.distribution):
            if name in holder.__dataclass_fields__:
                return getattr(holder, name)
        raise AttributeError(f"a fitted model has no attribute {name + '_'!r}")

    def to(self, device: torch.device) -> Fitted:
        """Move the networks to `device` and return this model."""
        for network in (self.extractor, self.distribution.neighborhood, self.refiner):
            if network is not None:
                network.to(device)
        return self

    def with_normalization(self, normalization: tuple[float, float]) -> Fitted:
        """Return this model with another map range."""
        return replace(self, normalization=normalization)

    def scorer(self, device: torch.device, precision: Precision = FLOAT32) -> Scorer:
        """Return the scoring pipeline with its networks on `device`, computing in `precision`."""
        self.to(device)
        height, width = self.grid
        parts = self.distribution
        position = None if parts.position is None else parts.position.reshape(height * width, -1)
        return Scorer(
            self.extractor,
            parts.coreset,
            parts.groups,
            Conditions(position, 1 / (2 * len(parts.coreset)), self.config.rule, device),
            parts.neighborhood,
            Upsampler(height, width, self.config.crop, self.config.sigma),
            parts.scale,
            self.refiner,
            self.refiner_range,
            precision,
        )

    def _position(self) -> str:
        """Return in words whether position is used and why."""
        if not self.config.position:
            return "off"
        if self.distribution.gate is not None:
            return self.distribution.gate.words
        # A file of the penalty rule that is older than the gate's record keeps no reason.
        return "used" if self.distribution.position is not None else "dropped"

    def summary(self) -> dict[str, Any]:
        """Return what the model holds, as plain values for JSON."""
        fitted = self.distribution
        parts = dict(zip(PARTS, (fitted.position, fitted.neighborhood, self.refiner), strict=True))
        return {
            "preset": self.config.preset,
            "backbone": self.config.backbone,
            "weights": self.weights_source,
            "n_images": self.n_images,
            "grid": list(self.grid),
            "coreset": len(fitted.coreset),
            "dimension": fitted.coreset.shape[1],
            "distribution_coreset": self.n_classes,
            "likelihood_lambda": fitted.scale,
            "parts": [name for name, part in parts.items() if part is not None],
            "position": self._position(),
            "position_risk": None if fitted.gate is None else fitted.gate.risk,
            "normalization": list(self.normalization),
            "config": self.config.as_dict(),
        }
