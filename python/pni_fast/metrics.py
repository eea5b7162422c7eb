"""How well defective images and pixels are told from good ones: AUROC, F1max, AUPRO."""

from __future__ import annotations

from .evaluation.metrics import FPR_LIMIT, Metrics, compute_metrics

__all__ = ["FPR_LIMIT", "Metrics", "compute_metrics"]
