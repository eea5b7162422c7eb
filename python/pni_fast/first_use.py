"""Names of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_first_use(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``.

    Parameters
    ----------
    package
        Its name.
    places
        By name, the module it is in, relative to the package.
    """

    def get(name: str) -> Any:
        if name in places:
            return getattr(import_module(places[name], package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
