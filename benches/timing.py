"""Run two callables in turn and compare their times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

LONG = 20.0  # seconds of a round after which two rounds must do


@dataclass(frozen=True)
class Case:
    """One comparison; `same` compares the two results, for peers that are exact."""

    kernel: str
    size: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None
    same: Callable[[Any, Any], bool] | None = None
    missing: str | None = None
    note: str = ""
    scale: float = 1.0  # the peer's time stands for so many times itself; the note says why


@dataclass(frozen=True)
class Row:
    """What came of a case; times are medians in seconds."""

    kernel: str
    size: str
    peer: str
    missing: str | None = None
    ours: float = 0.0
    theirs: float = 0.0
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    rounds: int = 0
    agrees: bool | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def clock(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure(case: Case, repeat: int) -> Row:
    """Run ours, the peer, ours, the peer, …: `repeat` rounds, or two where a round takes long."""
    if case.theirs is None:
        return Row(case.kernel, case.size, case.peer, missing=case.missing or "not installed", note=case.note)
    ours: list[float] = []
    theirs: list[float] = []
    agrees: bool | None = None
    while len(ours) < repeat and not (len(ours) >= 2 and ours[-1] + theirs[-1] > LONG):
        mine, found = clock(case.ours)
        their, expected = clock(case.theirs)
        ours.append(mine)
        theirs.append(their * case.scale)
        if case.same is not None:
            agrees = case.same(found, expected) and agrees is not False
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    mine, their = statistics.median(ours), statistics.median(theirs)
    return Row(
        kernel=case.kernel,
        size=case.size,
        peer=case.peer,
        ours=mine,
        theirs=their,
        ratio=their / mine,
        low=min(ratios),
        high=max(ratios),
        rounds=len(ours),
        agrees=agrees,
        note=case.note,
    )
