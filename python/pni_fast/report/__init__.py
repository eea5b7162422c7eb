"""What a person looks at: heat maps over photographs and the page that shows an evaluation."""

from .heatmap import colour_scale, overlay
from .html import write_report
from .production import Production
from .suspects import write_suspects

__all__ = ["Production", "colour_scale", "overlay", "write_report", "write_suspects"]
