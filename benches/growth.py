"""How the time of greedy_coreset at 1 % grows with the number of points."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from common import Setting
from features import grids
from pni_fast import greedy_coreset
from timing import ROUND, clock


@dataclass(frozen=True)
class Growth:
    """Median seconds for so many rows, and the slope of their logarithms (2 for a scan)."""

    name: str
    columns: int
    rows: list[int]
    seconds: list[float]
    exponent: float
    rounds: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        steps = ", ".join(f"{n:,}: {t:.3g} s" for n, t in zip(self.rows, self.seconds, strict=True))
        return (
            f"Growth, greedy_coreset at 1 % of {self.name}×{self.columns}: {steps}; "
            f"exponent {self.exponent:.2f} (the scan's is 2), medians of {self.rounds}"
        )


def fit(rows: list[int], seconds: list[float]) -> float:
    """Return the exponent e of the power law seconds ~ rows**e that fits best in logarithms."""
    return float(np.polyfit(np.log(rows), np.log(seconds), 1)[0])


def growth(setting: Setting, repeat: int) -> Growth:
    """Time n, 2n and 4n points in turn: a quarter, half, and all of the images, evenly spread."""
    name, features = grids("lite", "train", setting.output, 4 if setting.quick else None, "juice_bottle")
    features = features[: len(features) // 4 * 4]
    columns = features.shape[-1]
    parts = [np.ascontiguousarray(features[::step]).reshape(-1, columns) for step in (4, 2, 1)]
    times: list[list[float]] = [[] for _ in parts]
    least = 0.0 if setting.quick else ROUND
    for _ in range(repeat):
        for part, taken in zip(parts, times, strict=True):
            taken.append(clock(lambda part=part: greedy_coreset(part, 0.01), least)[0])
    rows, seconds = [len(part) for part in parts], [statistics.median(taken) for taken in times]
    return Growth(f"{name} lite", columns, rows, seconds, fit(rows, seconds), repeat)
