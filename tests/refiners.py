"""A detector and a refiner small enough to be trained inside a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pni_fast import PNI
from pni_fast.refinement import RefinerConfig

SMALL = RefinerConfig(
    side=32,
    bank=8,
    sound=0.25,
    faintest=0.5,
    iterations=6,
    batch=4,
    levels=(0, 1),
    widths=(8, 8),
    checkpoint_every=2,
)

TINY: dict[str, Any] = {
    "resize": 80,
    "crop": 64,
    "coreset_ratio": 0.1,
    "neighborhood": False,
    "device": "cpu",
    "refiner": SMALL,
}


def fitted_file(images: Path, target: Path, **settings: Any) -> Path:
    """Fit a small model without a refiner on a category, write it and return its file."""
    PNI(**{**TINY, **settings}).fit(images).save(target)
    return target
