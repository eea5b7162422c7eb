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

    Raises
    ------
    PniError
        The sizes are no whole numbers in that order.
    """

    resize: int = 512
    crop: int = 480

    def __post_init__(self) -> None:
        check_types(self)
        if not 1 <= self.crop <= self.resize:
            raise PniError(f"crop must be between 1 and resize = {self.resize}, got {self.crop}")

    @property
    def cut(self) -> slice:
        """The part of a resized side that is kept."""
        start = (self.resize - self.crop) // 2
        return slice(start, start + self.crop)
