"""Synthetic defects with exact masks, made from normal images alone (paper section 3.3)."""

from __future__ import annotations

from .defects import KINDS, Kind, synthesize
from .dataset import SyntheticDefect, SyntheticDefects
from .drawing import read_drawn_masks
from .textures import Textures

__all__ = ["KINDS", "Kind", "SyntheticDefect", "SyntheticDefects", "Textures", "read_drawn_masks", "synthesize"]
