"""What a model file records of how its conditions were chosen, held to what a fit could have said."""

from __future__ import annotations

from typing import Any

from pni_fast.distribution.gate import Gate
from pni_fast.distribution.trials import Trial, Trials
from pni_fast.errors import PniError

from .header import short

MOST_TRIALS = 100
"""Far more than any fit makes."""


def read_gate(said: Any) -> Gate | None:
    """Return the verdict on position.

    Raises
    ------
    PniError
        It is none, or its values are out of range.
    """
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) != {"risk", "kept"}:
        raise PniError(f"gate must be none, or a risk and whether position is kept, got {short(said)}")
    return Gate(**said)


def read_trials(said: Any) -> Trials | None:
    """Return the trials of conditions.

    Raises
    ------
    PniError
        They are none, or their values are out of range.
    """
    if said is None:
        return None
    rows = said.get("rows") if isinstance(said, dict) and set(said) == {"rows", "chosen"} else None
    if not isinstance(rows, list) or not len(rows) <= MOST_TRIALS:
        raise PniError(f"trials must be none, or rows and which is chosen, got {short(said)}")
    for row in rows:
        if not isinstance(row, dict) or set(row) != {"condition", "weight", "risk", "seen"}:
            raise PniError(f"trials.rows must have condition, weight, risk and seen, got {short(row)}")
    return Trials(tuple(Trial(**row) for row in rows), said["chosen"])
