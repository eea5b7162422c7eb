"""What a person looks at: heat maps over photographs and the page that shows an evaluation.

Names are imported on first use: a score needs no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pni_fast.first_use import on_first_use

if TYPE_CHECKING:
    from .heatmap import colour_scale, overlay
    from .html import write_report
    from .production import Production
    from .suspects import write_suspects

__all__ = ["Production", "colour_scale", "overlay", "write_report", "write_suspects"]

__getattr__ = on_first_use(
    __name__,
    {
        "Production": ".production",
        "colour_scale": ".heatmap",
        "overlay": ".heatmap",
        "write_report": ".html",
        "write_suspects": ".suspects",
    },
)
