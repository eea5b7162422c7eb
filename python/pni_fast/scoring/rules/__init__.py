"""How the conditions act on the search: one class for each of `pni_fast.config.RULES`."""

from __future__ import annotations

from .average import AverageRule
from .blend import BlendRule
from .both import BothRule
from .penalty import PenaltyRule
from .rule import Rule
from .scores import ScoresRule

RULE_CLASSES: dict[str, type[Rule]] = {
    "average": AverageRule,
    "both": BothRule,
    "scores": ScoresRule,
    "penalty": PenaltyRule,
    "blend": BlendRule,
}
"""The class of each rule by its name in the settings."""

__all__ = ["RULE_CLASSES", "AverageRule", "BlendRule", "BothRule", "PenaltyRule", "Rule", "ScoresRule"]
