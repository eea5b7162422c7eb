"""Pixelwise refinement of anomaly maps (paper section 3.3); most names bring torch, when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pni_fast.config import REFINERS, RefinerConfig
from pni_fast.first_use import on_first_use

from .fusion import fuse

if TYPE_CHECKING:
    from .examples import RefinementTask
    from .loss import gradient_loss, refinement_loss, regression_loss
    from .network import RefinementNetwork
    from .refined import RefinedScorer
    from .train import check_encoder, train_refiner, train_shared_refiner

__all__ = [
    "REFINERS",
    "RefinedScorer",
    "RefinementNetwork",
    "RefinementTask",
    "RefinerConfig",
    "check_encoder",
    "fuse",
    "gradient_loss",
    "refinement_loss",
    "regression_loss",
    "train_refiner",
    "train_shared_refiner",
]

__getattr__ = on_first_use(
    __name__,
    {
        "RefinedScorer": ".refined",
        "RefinementNetwork": ".network",
        "RefinementTask": ".examples",
        "check_encoder": ".train",
        "gradient_loss": ".loss",
        "refinement_loss": ".loss",
        "regression_loss": ".loss",
        "train_refiner": ".train",
        "train_shared_refiner": ".train",
    },
)
