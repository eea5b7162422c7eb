"""From a score to a verdict: thresholds that good images promise, regions, drift. NumPy only."""

from .conformal import lowest_rate, rank
from .decision import Decision
from .drift import Drift, drift
from .regions import Region, regions
from .suspects import Suspect

__all__ = [
    "Decision",
    "Drift",
    "Region",
    "Suspect",
    "drift",
    "lowest_rate",
    "rank",
    "regions",
]
