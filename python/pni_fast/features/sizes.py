"""Which sizes of pictures a backbone takes; neither torch nor timm is loaded for the embedded one."""

from __future__ import annotations

import math

from pni_fast.config import Config
from pni_fast.config.geometry import AUTO_SIZE, CROPPED, shape_of, size_text
from pni_fast.errors import PniError

COARSEST_STRIDE = 16
"""Of the levels used, of a network with levels at strides 8 and 16."""


def size_multiple(config: Config) -> int:
    """Return what both sides of a picture must be multiples of, for every backbone of a model."""
    return math.lcm(*(COARSEST_STRIDE for _ in config.backbones))


def check_sizes(config: Config) -> None:
    """Refuse a size and tiles that a backbone cannot take, before the work begins.

    Squares of `resize` and `crop` are taken as they are: the paper's networks pad what lacks.

    Raises
    ------
    PniError
        A side is no multiple of what it must be; the message names the nearest allowed.
    """
    multiple = size_multiple(config)
    if config.size not in (AUTO_SIZE, CROPPED):
        shape = shape_of(str(config.size))
        assert shape is not None  # neither of the two
        nearest = (nearest_multiple(shape[0], multiple), nearest_multiple(shape[1], multiple))
        if nearest != shape:
            raise PniError(
                f"size must be multiples of {multiple} for {_named(config)}, got {size_text(shape)}; the "
                f"nearest is {size_text(nearest)}"
            )
    for name in ("tile", "overlap") if config.tile else ():
        given = getattr(config, name)
        if given % multiple:
            raise PniError(
                f"{name} must be a multiple of {multiple} for {_named(config)}, got {given}; the nearest is "
                f"{nearest_multiple(given, multiple)}"
            )


def nearest_multiple(number: float, of: int) -> int:
    """Return the multiple that is nearest to a number, at least one; of equals the higher."""
    return max(int(number / of + 0.5), 1) * of


def _named(config: Config) -> str:
    return ", ".join(config.backbones)
