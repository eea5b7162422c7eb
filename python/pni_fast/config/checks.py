"""How a dataclass of settings checks its own values, and what a value's type is called."""

from __future__ import annotations

import contextlib
import math
import numbers
import re
import types
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, cast, get_args, get_origin, get_type_hints

from pni_fast.errors import PniError

LARGEST_COUNT = 2**31 - 1
"""Of what is counted and has no tighter limit: every library below takes such a number."""

LARGEST_SIDE = 8192
"""Pixels of a side that is worked on: interpolation matrices of that side take half a gigabyte each."""

LONGEST_NAME = 100
"""Characters of a network's name; timm's longest has about 60."""

_NETWORK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@contextlib.contextmanager
def named(prefix: str) -> Iterator[None]:
    """Put the name of the part, ``"mlp."``, before what is said of a value in it."""
    try:
        yield
    except PniError as error:
        raise PniError(f"{prefix}{error}") from None


def plain_number(value: Any) -> Any:
    """Return a number of NumPy's as Python's own, anything else as it is; booleans are no numbers.

    Numbers that are computed with NumPy are its own, and neither JSON nor a model file takes those.
    """
    if type(value).__module__ != "numpy" or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def check_types(config: Any) -> None:
    """Hold every field to its annotation; a whole number in a float field becomes a float.

    Numbers of NumPy's become Python's own.

    Raises
    ------
    PniError
        A value is of another type; the message names the field.
    """
    for name, kind in _hints(cast(Hashable, type(config))).items():
        given = getattr(config, name)
        value: Any = tuple(map(plain_number, given)) if isinstance(given, tuple) else plain_number(given)
        if value is not given:
            object.__setattr__(config, name, value)
        if not fits(value, kind):
            raise PniError(f"{name} must be {spoken(kind)}, got {value!r}")
        if kind is float:
            try:
                object.__setattr__(config, name, float(value))
            except OverflowError:  # a whole number of 400 digits
                raise PniError(
                    f"{name} must be a number below 1e308, got one of {len(str(value))} digits"
                ) from None


def check_lowest(config: Any, lowest: Mapping[str, int]) -> None:
    """Refuse a field that is below its lowest value; None, where a field may be it, passes."""
    for name, least in lowest.items():
        value = getattr(config, name)
        if value is not None and value < least:
            raise PniError(f"{name} must be at least {least}, got {value}")


def check_highest(config: Any, highest: Mapping[str, float]) -> None:
    """Refuse a field, or a number in it, that is above its highest value; None passes."""
    for name, most in highest.items():
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and number > most:
                raise PniError(f"{name} must be at most {most}, got {number}")


def check_network_name(name: str, what: str) -> None:
    """Refuse what is no plain name of a network: a hub's address or a folder, which timm would go and open.

    Parameters
    ----------
    name
        As given: ``"resnet18"``, ``"wide_resnet101_2.tv_in1k"``; never ``"hf-hub:…"`` or ``"local-dir:…"``.
    what
        The setting's name in the message.
    """
    if len(name) > LONGEST_NAME or not _NETWORK_NAME.fullmatch(name):
        raise PniError(
            f"{what} must be the name of a timm model, letters, digits and _ . - only, "
            f"got {name[:LONGEST_NAME]!r}"
        )


def check_odd(config: Any, *names: str) -> None:
    """Refuse a field that is not the side of a window around a pixel."""
    for name in names:
        value = getattr(config, name)
        if value < 1 or value % 2 == 0:
            raise PniError(f"{name} must be a positive odd number, got {value}")


def check_positive(config: Any, *names: str) -> None:
    """Refuse a field that is not above 0 and finite."""
    for name in names:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise PniError(f"{name} must be above 0 and finite, got {value}")


def check_not_negative(config: Any, *names: str) -> None:
    """Refuse a field that is below 0 or not finite."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < math.inf:
            raise PniError(f"{name} must be at least 0 and finite, got {value}")


def check_share(config: Any, *names: str) -> None:
    """Refuse a field outside [0, 1]."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise PniError(f"{name} must be in [0, 1], got {value}")


def check_part(config: Any, *names: str) -> None:
    """Refuse a share that would leave nothing: outside [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise PniError(f"{name} must be at least 0 and below 1, got {value}")


def fits(value: Any, kind: Any) -> bool:
    """Whether `value` is of the annotated `kind`; booleans are no numbers."""
    if isinstance(kind, types.UnionType):
        return any(fits(value, option) for option in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(fits(item, get_args(kind)[0]) for item in value)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def spoken(kind: Any) -> str:
    """Return what a value of a type is called in a message."""
    words = {bool: "yes or no", int: "a whole number", float: "a number", str: "a text", type(None): "none"}
    if isinstance(kind, types.UnionType):
        return " or ".join(map(spoken, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"{'texts' if get_args(kind)[0] is str else 'whole numbers'} with commas between them"
    return words.get(kind, f"a {getattr(kind, '__name__', kind)}")


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(cast(Any, kind))}
