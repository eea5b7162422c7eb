"""What a person looks at: heat maps over photographs and the page that shows an evaluation."""

from .heatmap import colour_scale, overlay
from .html import write_report

__all__ = ["colour_scale", "overlay", "write_report"]
