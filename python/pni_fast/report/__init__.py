"""What a person looks at: heat maps over photographs and the page that shows an evaluation.

Names are imported on first use: a score needs no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .heatmap import colour_scale, overlay
    from .html import write_report
    from .production import Production
    from .suspects import write_suspects

__all__ = ["Production", "colour_scale", "overlay", "write_report", "write_suspects"]

_LAZY = {
    "Production": ".production",
    "colour_scale": ".heatmap",
    "overlay": ".heatmap",
    "write_report": ".html",
    "write_suspects": ".suspects",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
