"""Sizes of crops that a backbone takes."""

from __future__ import annotations

from math import lcm

from pni_fast.config import Config
from pni_fast.config.backbones import EMBEDDED, PYRAMID


def size_multiple(config: Config) -> int:
    """Return what the sides of a crop are to be multiples of: the coarsest stride used, or a patch's side.

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
