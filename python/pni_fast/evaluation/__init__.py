"""A test set scored, and the outcome held against its ground truth."""

from .evaluation import Detector, Scored, evaluate
from .metrics import Metrics, compute_metrics
from .outcome import Evaluation, Result, write_metrics
from .own_threshold import OwnThreshold

__all__ = [
    "Detector",
    "Evaluation",
    "Metrics",
    "OwnThreshold",
    "Result",
    "Scored",
    "compute_metrics",
    "evaluate",
    "write_metrics",
]
