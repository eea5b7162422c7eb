"""Every choice as data: what a model, a refiner and a picture's crop are. No torch, no NumPy.

Each dataclass checks itself when it is built, so a model file, a command line and a library call are held to
the same rules.
"""

from __future__ import annotations

from .backbones import WeightsFile, backbone_choice, member_weights
from .context import ContextConfig
from .geometry import Geometry
from .mlp import MLPConfig
from .model import Config
from .overrides import setting_names, with_settings
from .presets import PRESETS, preset
from .refiner import REFINERS, RefinerConfig
from .rules import RULES, RuleChoice

__all__ = [
    "PRESETS",
    "REFINERS",
    "RULES",
    "Config",
    "ContextConfig",
    "Geometry",
    "MLPConfig",
    "RefinerConfig",
    "RuleChoice",
    "WeightsFile",
    "backbone_choice",
    "member_weights",
    "preset",
    "setting_names",
    "with_settings",
]
