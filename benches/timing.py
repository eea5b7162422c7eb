"""Run two callables in turn and compare their times.

A round calls what is short again and again for a second and takes the median of these calls, peers too: one
call of a tenth of a second says as much about what ran before it as about itself.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

BUDGET = 120.0
"""Seconds a case may take before no further round of it is begun; the first round always ends."""

ROUND = 1.0
"""Seconds a side has in a round; the first call always ends."""


@dataclass(frozen=True)
class Case:
    """One comparison.

    `share` gives the share of equal answers, from our result and the peer's; an `exact` peer must reach 1.
    """

    kernel: str
    size: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None
    share: Callable[[Any, Any], float] | None = None
    exact: bool = False
    missing: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """What came of a case; times are medians in seconds, `low` and `high` the ratios of single rounds."""

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
    share: float | None = None
    exact: bool = False
    note: str = ""

    @property
    def wrong(self) -> bool:
        """Whether answers differ from those of an exact peer."""
        return self.exact and self.share is not None and self.share < 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def clock(run: Callable[[], Any], seconds: float = ROUND) -> tuple[float, float, Any]:
    """Call for so many seconds; return the median of a call, the seconds of all calls and the last result."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), sum(times), result


def measure(case: Case, repeat: int, budget: float = BUDGET, seconds: float = ROUND) -> Row:
    """Run ours, the peer, ours, the peer, …: `repeat` rounds or what the budget allows, at least one."""
    if case.theirs is None:
        return Row(case.kernel, case.size, case.peer, missing=case.missing or "not installed", note=case.note)
    ours: list[float] = []
    theirs: list[float] = []
    shares: list[float] = []
    spent = last = 0.0
    while len(ours) < repeat and not (ours and spent + last > budget):
        mine, my_time, found = clock(case.ours, seconds)
        their, their_time, expected = clock(case.theirs, seconds)
        last = my_time + their_time
        spent += last
        ours.append(mine)
        theirs.append(their)
        if case.share is not None:
            shares.append(float(case.share(found, expected)))
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
        share=min(shares) if shares else None,
        exact=case.exact,
        note=case.note,
    )
