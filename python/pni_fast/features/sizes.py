"""Which sizes of pictures a backbone takes; neither torch nor timm is loaded for the embedded one."""

from __future__ import annotations

from math import lcm

from pni_fast.config import Config
from pni_fast.config.backbones import EMBEDDED, PYRAMID
from pni_fast.config.geometry import AUTO_SIZE, CROPPED, shape_of, size_text
from pni_fast.errors import PniError


def size_multiple(config: Config) -> int:
    """Return what the sides of a picture are to be multiples of: the coarsest stride used, or a patch's side.

    Of several backbones the least that serves all. A network with windows is asked for its coarsest stride,
    used or not. The embedded backbone's is known without torch.

    Raises
    ------
    WeightsError
        A backbone is not known, or has no such levels.
    """
    return lcm(*(_multiple(name, config.levels) for name in config.backbones))


def _multiple(name: str, levels: tuple[int, ...]) -> int:
    if name == EMBEDDED and levels in ((), PYRAMID):
        return max(PYRAMID)
    from .families import family_of, known_architecture

    return family_of(known_architecture(name, "backbone")).multiple(levels)


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
