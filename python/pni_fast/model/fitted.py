"""What a fit leaves behind: the arrays and networks of a model, ready to score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.data.inspected import Inspected
from pni_fast.decision import Decision
from pni_fast.distribution.distribution import Distribution
from pni_fast.errors import PniError
from pni_fast.features.stored import StoredExtractor
from pni_fast.refinement.refined import RefinedScorer
from pni_fast.refinement.stored import StoredRefiner
from pni_fast.runtime.device import Device
from pni_fast.runtime.run import Run
from pni_fast.scoring.anomaly_map import Upsampler
from pni_fast.scoring.image_maps import Maps
from pni_fast.scoring.inspected import InspectedMaps, InspectedScorer
from pni_fast.scoring.rules import RULE_CLASSES
from pni_fast.scoring.scorer import Scorer

from .finite_maps import FiniteMaps

PARTS = ("position", "context", "neighborhood", "refinement")
"""What a model may have besides PatchCore."""

MOST_IMAGES = 10**12

LARGEST_VALUE = 1e30
"""Of a map: differences of two must have a float32."""


@dataclass(frozen=True, eq=False)
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
    engine
        What made the features it was fitted on, in words; None: it does not say, as older files.
    decision
        The threshold and the good images that stand for it; None in files of older versions and in the
        members of an ensemble of theirs.
    roi
        (height, width): the part of the picture that is inspected, or None for all.
    image_size
        Width and height of the images fitted on, where all have the same.

    Raises
    ------
    PniError
        A value is out of its range, or a size does not fit the others.
    """

    config: Config
    weights_source: str
    extractor: StoredExtractor
    grid: tuple[int, int]
    distribution: Distribution
    n_images: int
    normalization: tuple[float, float] = (0.0, 1.0)
    refiner: StoredRefiner | None = None
    refiner_range: tuple[float, float] = (0.0, 1.0)
    engine: str | None = None
    decision: Decision | None = None
    roi: NDArray[np.bool_] | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        shape = self.config.geometry.shape
        pairs = zip(self.grid, shape, strict=False)
        if len(self.grid) != 2 or not all(type(side) is int and 0 < side <= most for side, most in pairs):
            raise PniError(f"grid must be two whole numbers from 1 to the picture's {shape}, got {self.grid}")
        position = self.distribution.position
        if position is not None and position.shape[:2] != tuple(self.grid):
            raise PniError(f"position must lie on the grid {self.grid}, got shape {position.shape}")
        context = self.distribution.context
        if context is not None and context.labels.shape[1:] != tuple(self.grid):
            raise PniError(f"context must lie on the grid {self.grid}, got shape {context.labels.shape}")
        if context is not None and context.descriptors.shape[1] != self.distribution.coreset.shape[1]:
            raise PniError(
                f"context descriptors must be of {self.distribution.coreset.shape[1]} dimensions like the "
                f"coreset, got {context.descriptors.shape[1]}"
            )
        if type(self.n_images) is not int or not 1 <= self.n_images <= MOST_IMAGES:
            raise PniError(
                f"n_images must be a positive whole number up to {MOST_IMAGES}, got {self.n_images!r}"
            )
        for name in ("normalization", "refiner_range"):
            low, high = getattr(self, name)
            if not -LARGEST_VALUE <= low <= high <= LARGEST_VALUE:
                raise PniError(
                    f"{name} must be two numbers in order, up to {LARGEST_VALUE}, got {getattr(self, name)}"
                )

    @property
    def members(self) -> tuple[Fitted, ...]:
        """The model itself, alone, where an ensemble has several."""
        return (self,)

    def to(self, device: Device) -> Fitted:
        """Move the networks that were built to `device` and return this model."""
        for network in (self.extractor, self.distribution.neighborhood, self.refiner):
            if network is not None:
                network.to(device)
        return self

    def with_normalization(self, normalization: tuple[float, float]) -> Fitted:
        """Return this model with another map range."""
        return replace(self, normalization=normalization)

    @cached_property
    def inspected(self) -> Inspected | None:
        """What is inspected, None for the whole picture."""
        return None if self.roi is None else Inspected(self.roi, self.grid)

    @property
    def config_inside(self) -> Config:
        """The settings a distribution is fitted with: the coreset is a share of the patches inspected."""
        return self.config if self.inspected is None else config_inside(self.config, self.inspected)

    def likelihood_scorer(self, run: Run) -> Scorer:
        """Return what gives maps before any refinement, its networks on the device of the run."""
        rule = RULE_CLASSES[self.config.rule](self.distribution, run.device)
        upsampler = Upsampler(self.grid, self.config.geometry.shape, self.config.sigma)
        neighborhood = self.distribution.neighborhood
        mlp = None if neighborhood is None else neighborhood.on(run.device)
        parts = (self.extractor.extraction(run), mlp, rule, upsampler, run.precision)
        return Scorer(*parts) if self.inspected is None else InspectedScorer(*parts, inspected=self.inspected)

    def scorer(self, run: Run) -> Maps:
        """Return what gives the final maps, its networks on the device of the run."""
        scorer = self.likelihood_scorer(run)
        if self.refiner is None:
            return FiniteMaps(scorer)
        refined: Maps = RefinedScorer(scorer, self.refiner.fused(run), self.refiner_range)
        return FiniteMaps(refined if self.inspected is None else InspectedMaps(refined, self.inspected))

    def _position(self) -> str:
        """Return in words whether position is used and why."""
        if not self.config.position:
            return "off"
        if self.distribution.gate is not None:
            return self.distribution.gate.words
        if self.distribution.position is not None:
            return "used"
        # A file of the penalty rule that is older than the gate's record keeps no reason.
        return "not chosen" if RULES[self.config.rule].tried else "dropped"

    def _context(self) -> str:
        """Return in words whether context is used."""
        if not self.config.has_context:
            return "off"
        return "used" if self.distribution.context is not None else "not chosen"

    def _conditions(self) -> str | None:
        """Return in words which condition acts and why; None where the rule does not choose."""
        fitted = self.distribution
        if not RULES[self.config.rule].tried:
            return None
        if fitted.trials is not None:
            return fitted.trials.words
        if not (self.config.position or self.config.has_context):
            return "off"
        if self.config.position_gate:
            return "neither position nor context: one image does not show what they cost"
        return f"{fitted.condition} with weight {fitted.weight:g}, as asked"

    def summary(self) -> dict[str, Any]:
        """Return what the model holds, as plain values for JSON."""
        fitted = self.distribution
        used = (fitted.position, fitted.context, fitted.neighborhood, self.refiner)
        parts = dict(zip(PARTS, used, strict=True))
        trials = fitted.trials
        return {
            "preset": self.config.preset,
            "backbone": self.config.backbone,
            "weights": self.weights_source,
            "engine": self.engine,
            "n_images": self.n_images,
            "grid": list(self.grid),
            "coreset": len(fitted.coreset),
            "dimension": fitted.coreset.shape[1],
            "distribution_coreset": fitted.n_classes,
            "likelihood_lambda": fitted.scale,
            "parts": [name for name, part in parts.items() if part is not None],
            "position": self._position(),
            "position_risk": None if fitted.gate is None else fitted.gate.risk,
            "context": self._context(),
            "conditions": self._conditions(),
            "weight": fitted.weight,
            "trials": None if trials is None else trials.as_list(),
            "normalization": list(self.normalization),
            "inspected": None if self.roi is None else float(self.roi.mean()),
            "decision": None if self.decision is None else self.decision.summary(),
            "config": self.config.as_dict(),
        }


def config_inside(config: Config, inspected: Inspected) -> Config:
    """Return settings whose coreset is as large a share of the patches of a region as it is of all."""
    return replace(config, coreset_ratio=config.coreset_ratio * inspected.share)
