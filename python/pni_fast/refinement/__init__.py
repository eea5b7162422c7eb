"""Pixelwise refinement of anomaly maps (paper section 3.3)."""

from __future__ import annotations

from pni_fast.config import REFINERS, RefinerConfig

from .examples import RefinementTask
from .fusion import fuse
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
