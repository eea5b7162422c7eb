"""A fit or a score by several processes or machines."""

from .coordinator import Spread, check_spread

__all__ = ["Spread", "check_spread"]
