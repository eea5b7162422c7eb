"""Say when another engine scores than the one a model was fitted by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .speech import say

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI


def tell_engines(model: PNI, *, quiet: bool) -> None:
    """Print a line for each member of a model whose features another engine makes now."""
    for member, name in zip(model.fitted.members, model.engines, strict=True):
        if member.engine is not None and member.engine.split()[0] != name and not quiet:
            say(f"Fitted by {member.engine}; scored by {name}, which rounds otherwise.", err=True)
