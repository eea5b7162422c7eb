"""Change single settings of a configuration by name: `rule`, `mlp.dropout`; values may come as text."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pni_fast.errors import PniError

from .checks import named, spoken

C = TypeVar("C")

SWITCH = "used"
"""Field of an inner dataclass that switches the whole part on or off: ``context=False``."""

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def setting_names(kind: type, prefix: str = "") -> list[str]:
    """Return the names that :func:`with_settings` takes for a dataclass, in the order of its fields."""
    names: list[str] = []
    hints = get_type_hints(kind)
    for item in fields(kind):
        inner = hints[item.name]
        if isinstance(inner, type) and is_dataclass(inner):
            names += setting_names(inner, f"{prefix}{item.name}.")
        else:
            names.append(prefix + item.name)
    return names


def with_settings(config: C, changes: Mapping[str, Any]) -> C:
    """Return a dataclass instance with some of its fields changed.

    Parameters
    ----------
    config
        The settings to start from; fields may be dataclasses themselves.
    changes
        Values by name. A field of an inner dataclass is named with a dot, ``"mlp.dropout"``; the inner
        dataclass may also be given whole, as a mapping of what changes in it, or as yes or no where it can be
        switched on and off. Text is read as the type of
        its field: ``"0.5"``, ``"yes"``, ``"none"``, ``"1,2,3"``.

    Raises
    ------
    TypeError
        A name is unknown.
    PniError
        A value is not of its field's type, or an inner dataclass refuses it.
    """
    return _changed(config, changes, "", setting_names(type(config)))


def _changed(config: C, changes: Mapping[str, Any], prefix: str, known: list[str]) -> C:
    hints = get_type_hints(type(config))
    plain: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        head, dot, rest = name.partition(".")
        kind = hints.get(head)
        if kind is None or bool(dot) > is_dataclass(kind):
            raise TypeError(f"unknown setting {prefix + name!r}; settings are {', '.join(known)}")
        if dot:
            inner.setdefault(head, {})[rest] = value
        elif is_dataclass(kind) and isinstance(value, Mapping):
            inner.setdefault(head, {}).update(value)
        elif is_dataclass(kind) and SWITCH in get_type_hints(kind) and isinstance(value, bool | str):
            inner.setdefault(head, {})[SWITCH] = value
        else:
            plain[head] = _value(prefix + name, value, kind)
    for head, part in inner.items():
        plain[head] = _changed(plain.get(head, getattr(config, head)), part, f"{prefix}{head}.", known)
    with named(prefix):
        return replace(config, **plain)  # type: ignore[type-var]


def _value(name: str, value: Any, kind: Any) -> Any:
    """Return text as the type of its field, anything else as it is: the dataclass checks it.

    Raises
    ------
    PniError
        The text does not read as that type; the message names the setting.
    """
    if not isinstance(value, str) or _takes_text(kind):
        return value
    try:
        return _parsed(value.strip(), kind)
    except ValueError:
        raise PniError(f"{name} must be {spoken(kind)}, got {value!r}") from None


def _takes_text(kind: Any) -> bool:
    return kind is str or (isinstance(kind, types.UnionType) and str in get_args(kind))


def _parsed(text: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        options = get_args(kind)
        if type(None) in options and text.lower() == "none":
            return None
        return _parsed(text, next(option for option in options if option is not type(None)))
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ValueError
        return _WORDS[text.lower()]
    if get_origin(kind) is tuple:
        return tuple(_parsed(part.strip(), get_args(kind)[0]) for part in text.split(","))
    if kind in (int, float):
        return kind(text)
    raise ValueError
