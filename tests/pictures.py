"""Tiny photographs and a tiny category, drawn for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 96
"""Side in pixels of the generated photographs."""


def texture(seed: int, *, defect: bool = False) -> Image.Image:
    """Draw a striped, noisy surface; with a bright square in its middle when defective."""
    random = np.random.default_rng(seed)
    stripes = 110 + 40 * np.sin(np.arange(SIDE) / 4 + random.uniform(0, 0.5))
    surface = np.clip(stripes[None, :, None] + random.normal(0, 6, (SIDE, SIDE, 3)), 0, 255)
    if defect:
        surface[36:60, 36:60] = (250, 40, 40)
    return Image.fromarray(surface.astype(np.uint8))


def defect_mask() -> Image.Image:
    """Return the exact mask of the defect that `texture` draws."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[36:60, 36:60] = 255
    return Image.fromarray(mask)


def make_category(root: Path) -> Path:
    """Write four good training images, two good and two defective test images, and the masks."""
    folders = [root / "train/good", root / "test/good", root / "test/stain", root / "ground_truth/stain"]
    for folder in folders:
        folder.mkdir(parents=True)
    train, good, stain, truth = folders
    for index in range(4):
        texture(index).save(train / f"{index:03}.png")
    for index in range(2):
        texture(10 + index).save(good / f"{index:03}.png")
        texture(20 + index, defect=True).save(stain / f"{index:03}.png")
        defect_mask().save(truth / f"{index:03}_mask.png")
    return root
