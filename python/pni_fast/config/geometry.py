"""Which part of a photograph is inspected, and at what size (paper section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

from pni_fast.errors import PniError

from .checks import check_types


@dataclass(frozen=True)
class Geometry:
    """Resize both sides to `resize` pixels, then cut the central `crop` × `crop` square.

    The aspect ratio is not kept: the paper resizes to 512×512 and crops 480×480 "to remove negligible
    boundary pixels".

    Parameters
    ----------
    resize, crop
        Side lengths in pixels, ``1 <= crop <= resize``.
    depth
        Bits of grey integer pixels above 8, from 8 to 16: files of 16 bits may hold 10 or 12.

    Raises
    ------
    PniError
        The sizes are no whole numbers in that order, or the depth is out of its range.
    """

    resize: int = 512
    crop: int = 480
    depth: int = 16

    def __post_init__(self) -> None:
        check_types(self)
        if not 1 <= self.crop <= self.resize:
            raise PniError(f"crop must be between 1 and resize = {self.resize}, got {self.crop}")
        check_depth(self.depth)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels, of what is inspected."""
        return self.crop, self.crop

    @property
    def cut(self) -> slice:
        """The part of a resized side that is kept."""
        start = (self.resize - self.crop) // 2
        return slice(start, start + self.crop)


AUTO_DEPTH = "auto"
"""The setting of a depth that the training images decide."""


def depth_choice(depth: str | int) -> str | int:
    """Return a depth as a number where it is one, checked.

    Raises
    ------
    PniError
        It is neither "auto" nor a number of bits.
    """
    if depth == AUTO_DEPTH:
        return depth
    number = int(depth) if isinstance(depth, str) and depth.isdecimal() else depth
    check_depth(number)
    return number


def check_depth(depth: str | int) -> None:
    """Refuse what is no number of bits."""
    if isinstance(depth, str) or not 8 <= depth <= 16:
        raise PniError(f"depth must be from 8 to 16 bits, or auto, got {depth}")
