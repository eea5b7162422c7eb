"""Tiles of a large picture: they overlap, and every patch is taken from the tile it lies most central in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Tile:
    """One tile along one side, in pixels: where it starts, and the part that is taken of it."""

    start: int
    first: int
    last: int


@dataclass(frozen=True)
class Tiling:
    """Where the tiles of a picture lie.

    Along a side they start at multiples of ``tile - overlap``; the last ends with the picture. Two neighbours
    share what is between them in its middle. The frame of the picture is no border of a tile: what a network
    pads there it would pad in the whole picture too.

    Parameters
    ----------
    shape
        Height and width of the picture.
    side
        Of the square tiles; a side of the picture that is shorter is that of its tiles.
    overlap
        Pixels that neighbours have in common at least.
    """

    shape: tuple[int, int]
    side: int
    overlap: int

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of every tile."""
        return min(self.side, self.shape[0]), min(self.side, self.shape[1])

    def along(self, axis: int) -> list[Tile]:
        """Return the tiles along a side: 0 of rows, 1 of columns."""
        length, side = self.shape[axis], self.tile[axis]
        starts = [*range(0, length - side, self.side - self.overlap), length - side]
        cuts = [(before + side + after) // 2 for before, after in pairwise(starts)]
        return [
            Tile(start, first, last)
            for start, first, last in zip(starts, [0, *cuts], [*cuts, length], strict=True)
        ]
