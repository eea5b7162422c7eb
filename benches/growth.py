"""How the time of greedy_coreset at 1 % grows with the number of points.

    python benches/growth.py [--pictures 1334] [--output bench-output]

As a command it takes a 16th, an 8th, a quarter, half and all of so many crops of all pictures there are,
3,600 points each, one run of each size; their features are made first, once (a quarter of a second and 2 MB
a picture).
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import Setting
from features import grids, mixed
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1334)
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    chosen = parser.parse_args(arguments)
    if chosen.pictures < 16:
        parser.error(f"--pictures must be at least 16, got {chosen.pictures}")
    chosen.output.mkdir(parents=True, exist_ok=True)
    features = np.load(mixed(chosen.output, chosen.pictures), mmap_mode="r")
    before: tuple[int, float] | None = None
    print("| points | picks | seconds | of processors | exponent |\n| --- | --- | --- | --- | --- |")
    for parts in (16, 8, 4, 2, 1):
        rows = features[: len(features) // parts]
        for part in range(0, len(rows), 100_000):  # what is mapped is read before
            rows[part : part + 100_000].sum()
        start, work = time.perf_counter(), time.process_time()
        picks = len(greedy_coreset(rows, 0.01).indices)
        seconds, work = time.perf_counter() - start, time.process_time() - work
        exponent = "" if before is None else f"{fit([before[0], len(rows)], [before[1], seconds]):.2f}"
        cells = [f"{len(rows):,}", f"{picks:,}", f"{seconds:.2f}", f"{work:.1f}", exponent]
        print(f"| {' | '.join(cells)} |", flush=True)
        before = len(rows), seconds
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
