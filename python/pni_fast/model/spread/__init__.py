"""A fit or a score by several processes or machines."""

from .coordinator import Spread

__all__ = ["Spread"]
