"""Synthetic defects with exact masks, made from normal images alone (paper section 3.3)."""

from __future__ import annotations

from .dataset import SyntheticDefect, SyntheticDefects
from .defects import KINDS, SMALLEST_SIDE, Kind, synthesize
from .drawing import read_drawn_masks
from .sheet import contact_sheet
from .textures import Textures

__all__ = [
    "KINDS",
    "SMALLEST_SIDE",
    "Kind",
    "SyntheticDefect",
    "SyntheticDefects",
    "Textures",
    "contact_sheet",
    "read_drawn_masks",
    "synthesize",
]
