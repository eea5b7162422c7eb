"""How far the scores of defectives lie above those of normals, by counting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 20
"""Scores worked on at once, so that memory does not grow with their number."""


def ranks(
    normal: NDArray[np.floating[Any]], defective: NDArray[np.floating[Any]]
) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.int64]]]:
    """Count, for each defective score, the normal scores above it, and at or above it. Both inputs sorted."""
    for start in range(0, len(defective), CHUNK):
        part = slice(start, min(start + CHUNK, len(defective)))
        above = len(normal) - np.searchsorted(normal, defective[part], side="right")
        at_or_above = len(normal) - np.searchsorted(normal, defective[part], side="left")
        yield part, above, at_or_above


def f1_max(normal: NDArray[np.floating[Any]], defective: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Largest F1 and its threshold; only a defective's score can be the best one. Both inputs sorted."""
    best, threshold = -1.0, 0.0
    for part, _, false_positives in ranks(normal, defective):
        # Of equal scores the first counts all of them as found; the others understate and so never win.
        found = len(defective) - np.arange(part.start, part.stop)
        f1 = 2.0 * found / (found + false_positives + len(defective))
        top = len(f1) - 1 - int(np.argmax(f1[::-1]))
        if f1[top] >= best:
            best, threshold = float(f1[top]), float(defective[part.start + top])
    return best, threshold


def auroc(normal: NDArray[np.floating[Any]], defective: NDArray[np.floating[Any]]) -> float:
    """Return how often a defective scores above a normal, ties counting half. Both inputs sorted."""
    lost = sum(int((above + at_or_above).sum()) for _, above, at_or_above in ranks(normal, defective))
    return 1 - lost / (2 * len(normal) * len(defective))
