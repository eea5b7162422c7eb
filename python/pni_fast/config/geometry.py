"""Which part of a photograph is inspected, and at what size."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pni_fast.errors import PniError

from .checks import LARGEST_SIDE, check_types

AUTO_SIZE = "auto"
"""The size that the training images decide: their aspect ratio, whole, about :data:`AUTO_SIDE` squared."""

CROPPED = "crop"
"""The paper's size (section 4.1): squares of `resize` pixels whose central `crop` pixels are inspected."""

AUTO_SIDE = 512
"""Squared, the area of that size: photographs keep the pixels the paper brings them to, and lose no rim."""

MOST_CHANNELS = 256
"""Of a picture; cameras have up to about so many bands."""

_SIZE = re.compile(r"([0-9]{1,9})(?:[xX×]([0-9]{1,9}))?")


@dataclass(frozen=True)
class Geometry:
    """Bring a photograph to a size; in the paper's way, resize both sides and cut the centre out.

    The paper resizes to 512×512 and crops 480×480 "to remove negligible boundary pixels". The aspect ratio is
    that of `size`, whatever the photograph's.

    Parameters
    ----------
    resize, crop
        Side lengths in pixels, ``1 <= crop <= resize``, of the paper's squares; without a `size` only.
    depth
        Bits of grey integer pixels above 8, from 8 to 16: files of 16 bits may hold 10 or 12.
    size
        Height and width that the whole photograph is brought to; None: the paper's squares.
    channels
        The channels, counted from 0, of which RGB is made: three, or one that is repeated. Empty: those of
        the picture, which then has at most four.

    Raises
    ------
    PniError
        The sizes are no whole numbers in that order, or a value is out of its range.
    """

    resize: int = 512
    crop: int = 480
    depth: int = 16
    size: tuple[int, ...] | None = None
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        if not 1 <= self.crop <= self.resize:
            raise PniError(f"crop must be between 1 and resize = {self.resize}, got {self.crop}")
        if self.size is not None and (len(self.size) != 2 or not 1 <= min(self.size) <= LARGEST_SIDE):
            raise PniError(f"size must be height and width, from 1 to {LARGEST_SIDE}, got {self.size}")
        check_depth(self.depth)
        check_channels(self.channels)

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width, in pixels, that the whole photograph is brought to."""
        return (self.resize, self.resize) if self.size is None else (self.size[0], self.size[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels, of what is inspected."""
        return (self.crop, self.crop) if self.size is None else self.resized

    @property
    def cut(self) -> tuple[slice, slice]:
        """The rows and the columns of the resized photograph that are inspected."""
        rows, columns = (
            slice((whole - kept) // 2, (whole - kept) // 2 + kept)
            for whole, kept in zip(self.resized, self.shape, strict=True)
        )
        return rows, columns

    @property
    def whole(self) -> bool:
        """Whether the whole photograph is inspected."""
        return self.shape == self.resized


def size_choice(size: str | int) -> str:
    """Return a size as it is written: "auto", "crop" or "WIDTHxHEIGHT".

    Parameters
    ----------
    size
        One of these; a single number is the side of a square.

    Raises
    ------
    PniError
        It is none of these, or a side is out of its range.
    """
    if size in (AUTO_SIZE, CROPPED):
        return str(size)
    found = _SIZE.fullmatch(str(size).strip())
    if found is None:
        raise PniError(
            f"size must be {AUTO_SIZE}, {CROPPED}, a side such as 480 or WIDTHxHEIGHT such as 800x608, "
            f"got {str(size)[:40]!r}"
        )
    width, height = int(found[1]), int(found[2] or found[1])
    if not 1 <= min(width, height) <= max(width, height) <= LARGEST_SIDE:
        raise PniError(f"size must have sides from 1 to {LARGEST_SIDE} pixels, got {width}x{height}")
    return size_text((height, width))


def size_text(shape: tuple[int, int]) -> str:
    """Return height and width as a size is written, width first."""
    return f"{shape[1]}x{shape[0]}"


def shape_of(size: str) -> tuple[int, int] | None:
    """Return height and width of a size that :func:`size_choice` gave; None for the paper's squares.

    What no fit has decided yet is a square.
    """
    if size == CROPPED:
        return None
    if size == AUTO_SIZE:
        return AUTO_SIDE, AUTO_SIDE
    width, height = map(int, size.split("x"))
    return height, width


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


def check_channels(channels: tuple[int, ...]) -> None:
    """Refuse what RGB cannot be made of."""
    if len(channels) not in (0, 1, 3) or not all(0 <= channel < MOST_CHANNELS for channel in channels):
        said = ",".join(map(str, channels))
        raise PniError(
            f"channels must be one number or three, from 0 to {MOST_CHANNELS - 1}, such as 0,2,3; got {said}"
        )
