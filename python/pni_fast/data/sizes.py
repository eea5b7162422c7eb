"""Sizes of images, without their pixels where that can be, and the size that fits them all."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from pni_fast.config.checks import LARGEST_SIDE
from pni_fast.config.geometry import AUTO_SIDE
from pni_fast.errors import DataError

from .decoding import handed_over, image_size, is_turned
from .sources import Source

ALIKE = 1.02
"""Aspect ratios no farther apart are one: cut by hand, pictures differ by some pixels."""


def size_of(source: Source) -> tuple[int, int]:
    """Return width and height of an image, from its file's header where it has one.

    Raises
    ------
    DataError
        It has none, or no pixels.
    """
    content = source.content
    if isinstance(content, Path):
        return image_size(content)
    if isinstance(content, Image.Image):
        with handed_over(content, source.said):
            width, height = content.size
            return (height, width) if is_turned(content) else (width, height)
    if content.ndim < 2 or 0 in content.shape[:2]:
        raise DataError(f"{source.said}: an image must have rows and columns, got {content.shape}")
    return int(content.shape[1]), int(content.shape[0])


def known_size(source: Source) -> tuple[int, int] | None:
    """Return width and height of an image, None where it is broken: whoever reads it will say so."""
    try:
        return size_of(source)
    except DataError:
        return None


def one_size(sizes: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    """Return the size that all of some have, None where they differ; those of broken images are left out."""
    found = {size for size in sizes if size is not None}
    return found.pop() if len(found) == 1 else None


def fitting_shape(sizes: Iterable[tuple[int, int] | None], multiple: int) -> tuple[int, int]:
    """Return height and width that pictures of some sizes are brought to whole, of about one area.

    The aspect ratio is the median of theirs; where they differ, a warning says so.

    Parameters
    ----------
    sizes
        Width and height of the pictures; those of broken ones are left out.
    multiple
        Of which both sides must be multiples.
    """
    found = sorted((size for size in sizes if size is not None), key=_aspect)
    if not found:  # the first that is read will say why
        found = [(AUTO_SIDE, AUTO_SIDE)]
    median = found[(len(found) - 1) // 2]
    shape = _shape(_aspect(median), multiple)
    if not alike(found[0], found[-1]):
        warnings.warn(
            f"pictures differ in their aspect ratio, from {_said(found[0])} to {_said(found[-1])} pixels: "
            f"all are stretched to {shape[1]}×{shape[0]}, as the median, {_said(median)}, has it; the "
            "setting size takes another",
            stacklevel=2,
        )
    return shape


def alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have one aspect ratio."""
    low, high = sorted((_aspect(one), _aspect(other)))
    return high <= ALIKE * low


def _aspect(size: tuple[int, int]) -> float:
    return size[0] / size[1]


def _said(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _shape(aspect: float, multiple: int) -> tuple[int, int]:
    """Return the height and width near the area whose aspect ratio is nearest; of equals the nearer area."""
    longer = max(aspect, 1 / aspect)
    ideal = AUTO_SIDE / math.sqrt(longer) / multiple
    found = []
    for steps in range(max(1, int(0.9 * ideal)), int(1.1 * ideal) + 2):
        long = min(round(steps * longer), LARGEST_SIDE // multiple)
        bent = abs(math.log(long / steps / longer))
        larger = abs(math.log(steps * long * multiple**2 / AUTO_SIDE**2))
        found.append((bent + larger / 10, steps * multiple, long * multiple))
    _, short, long = min(found)
    return (short, long) if aspect >= 1 else (long, short)
