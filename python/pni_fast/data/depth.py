"""How many bits the pixels of a set of pictures have, and whether the set uses the range it is given."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.errors import DataError

from .decoding import handed_over, is_wide, load
from .pixels import FULL_DEPTH, is_deep
from .sources import Source

DEPTHS = (8, 10, 12, 14, 16)
"""What cameras give."""


def highest_value(source: Source) -> int:
    """Return the highest value of grey integer pixels above 8 bits; −1 where the source has none.

    Of a file with 8 bits only the header is read. What is broken has none: the fit itself will name it.
    """
    content = source.content
    if isinstance(content, Path):
        if not is_wide(content):
            return -1
        try:
            content = load(content)
        except DataError:
            return -1
    if isinstance(content, Image.Image):
        if not content.mode.startswith("I"):
            return -1
        try:
            with handed_over(content, source.said):
                values = np.asarray(content)
        except DataError:
            return -1
    else:
        values = np.asarray(content)
    return int(values.max()) if values.size and is_deep(values) else -1


def depth_of(highest: Iterable[int]) -> int:
    """Return the depth that holds the highest of all values; 16 where no source has any above 8 bits."""
    most = max(highest, default=-1)
    if most < 0:
        return FULL_DEPTH
    return next((depth for depth in DEPTHS if most < 2**depth), FULL_DEPTH)


def depth_of_files(files: Iterable[Path]) -> int:
    """Return the depth of image files; of those with 8 bits only the headers are read."""
    return depth_of(highest_value(Source(path.name, path)) for path in files)


class Brightness:
    """The highest 8-bit value of a run of pictures, which are told when together they are nearly black."""

    def __init__(self) -> None:
        self.highest = 0
        self.count = 0

    def add(self, crop: NDArray[np.uint8]) -> None:
        """Take one picture in, uint8."""
        self.highest = max(self.highest, int(crop.max(initial=0)))
        self.count += 1

    def check(self, depth: int) -> None:
        """Warn where less than a quarter of the range was used."""
        if self.count and self.highest < 64:
            pictures = "the picture" if self.count == 1 else f"all {self.count} pictures"
            warnings.warn(
                f"highest value of {pictures}: {self.highest} of 255, less than a quarter of the range; "
                f"where their pixels have fewer bits than the {depth} of the setting depth, set that",
                stacklevel=2,
            )
