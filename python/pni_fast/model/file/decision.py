"""What a model file holds of its decision: arrays with the prefix ``decision.``, and the rest as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.decision import Decision, Suspect
from pni_fast.errors import PniError
from pni_fast.runtime.tensor_values import Place

from .header import short

DECISION = "decision."
"""Before the names of its tensors."""

ARRAYS = {"scores": "float64", "peaks": "float64", "digests": "int64"}
"""Fields of a :class:`Decision` that are tensors, and their types; left out where they are empty."""

VALUES = ("source", "false_alarms", "confidence", "at")

MOST_SUSPECTS = 1000


def decision_values(decision: Decision) -> dict[str, Any]:
    """Return what is said as JSON."""
    named = [[suspect.name, suspect.score] for suspect in decision.suspects]
    return {name: getattr(decision, name) for name in VALUES} | {"suspects": named}


def decision_arrays(decision: Decision) -> dict[str, NDArray[Any]]:
    """Return the tensors by their names in the file; peaks that are the scores are not written twice."""
    arrays = {name: getattr(decision, name) for name in ARRAYS}
    if np.array_equal(decision.scores, decision.peaks):
        del arrays["peaks"]
    return {DECISION + name: array for name, array in arrays.items() if len(array)}


def check_decision(said: Any, places: Mapping[str, Place]) -> set[str]:
    """Return the names of the tensors of a decision, their types and shapes in order.

    Raises
    ------
    PniError
        One is of another type or shape.
    """
    if said is None:
        return set()
    found = {DECISION + name: kind for name, kind in ARRAYS.items() if DECISION + name in places}
    for name, kind in found.items():
        place = places[name]
        if len(place.shape) != 1 or place.dtype != kind:
            raise PniError(f"tensor {name!r} must be one row of {kind}, got {place.shape} of {place.dtype}")
    return set(found)


def read_decision(said: Any, arrays: Mapping[str, NDArray[Any]]) -> Decision | None:
    """Return the decision of a file, None where it has none.

    Raises
    ------
    PniError
        A value is missing, unknown or out of its range.
    """
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) != {*VALUES, "suspects"}:
        raise PniError(f"decision must have {', '.join(VALUES)} and suspects, got {short(said)}")
    named = said["suspects"]
    if not isinstance(named, list) or len(named) > MOST_SUSPECTS or not all(map(_is_suspect, named)):
        raise PniError(f"decision suspects must be names with scores, got {short(named)}")
    own: dict[str, Any] = {name: arrays[DECISION + name] for name in ARRAYS if DECISION + name in arrays}
    if "scores" in own:
        own.setdefault("peaks", own["scores"])
    values = {name: said[name] for name in VALUES}
    return Decision(**own, **values, suspects=tuple(Suspect(name, float(score)) for name, score in named))


def _is_suspect(said: Any) -> bool:
    pair = isinstance(said, list) and len(said) == 2
    return pair and isinstance(said[0], str) and type(said[1]) in (int, float) and abs(said[1]) < 1e300
