"""The settings of a model and the presets they come in."""

from __future__ import annotations

from .config import PRESETS, Config, ContextConfig, MLPConfig, RefinerConfig, preset

__all__ = ["PRESETS", "Config", "ContextConfig", "MLPConfig", "RefinerConfig", "preset"]
