"""Settings of benchmarks that take seconds."""

from __future__ import annotations

from typing import Any

from pni_fast.refinement import RefinerConfig

REFINER = RefinerConfig(side=32, bank=8, iterations=3, batch=4, levels=(0, 1), widths=(8, 8))
TINY: dict[str, Any] = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "refiner": REFINER}
COMMON: dict[str, Any] = {"device": "cpu", "num_threads": 2, "settings": TINY}
VARIANTS = ["neither", "P", "C", "PC", "PCR"]
