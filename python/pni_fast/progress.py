"""How long work reports itself: one callable, called from the caller's own thread."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``: items of the stage done so far; ``total`` 0 means unknown."""


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


Tell = Callable[[str], None]
"""Called with one line before the work that it is about begins."""


def unheard(line: str) -> None:
    """Say nothing."""
