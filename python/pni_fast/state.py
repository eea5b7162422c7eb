"""What a fit leaves behind: the arrays and networks of a model, ready to score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .anomaly_map import Upsampler
from .conditions import Conditions
from .features import FeatureExtractor
from .neighborhood import NeighborhoodMLP
from .presets import Config
from .scorer import Scorer


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
    coreset, groups
        C_emb, float32 (m, d); index of the nearest C_dist vector of each row, int64 (m,).
    position
        p(c_dist | x), float32 (h, w, K), or None.
    neighborhood
        The MLP, or None.
    normalization
        Lowest and highest map value on normal images.
    n_images
        Images fitted on.
    """

    config: Config
    weights_source: str
    extractor: FeatureExtractor
    grid: tuple[int, int]
    coreset: NDArray[np.float32]
    groups: NDArray[np.int64]
    position: NDArray[np.float32] | None
    neighborhood: NeighborhoodMLP | None
    normalization: tuple[float, float]
    n_images: int

    @property
    def n_classes(self) -> int:
        """|C_dist|."""
        return min(self.config.distribution_size, len(self.coreset))

    def with_normalization(self, normalization: tuple[float, float]) -> Fitted:
        """Return this model with another map range."""
        return replace(self, normalization=normalization)

    def scorer(self, device: torch.device) -> Scorer:
        """Return the scoring pipeline with its networks on `device`."""
        height, width = self.grid
        position = None if self.position is None else self.position.reshape(height * width, -1)
        return Scorer(
            self.extractor.to(device),
            self.coreset,
            self.groups,
            Conditions(position, 1 / (2 * len(self.coreset)), self.config.rule),
            None if self.neighborhood is None else self.neighborhood.to(device),
            Upsampler(height, width, self.config.crop, self.config.sigma),
        )

    def summary(self) -> dict[str, Any]:
        """Return what the model holds, as plain values for JSON."""
        parts = {"position": self.position, "neighborhood": self.neighborhood}
        return {
            "preset": self.config.preset,
            "backbone": self.config.backbone,
            "weights": self.weights_source,
            "n_images": self.n_images,
            "grid": list(self.grid),
            "coreset": len(self.coreset),
            "dimension": self.coreset.shape[1],
            "distribution_coreset": self.n_classes,
            "parts": [name for name, part in parts.items() if part is not None],
            "normalization": list(self.normalization),
            "config": self.config.as_dict(),
        }
