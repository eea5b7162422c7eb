"""Synthetic defects in training images, as features: what conditions are tried on (paper section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.data import Source
from pni_fast.data.cropping import read_crop
from pni_fast.data.inspected import Inspected
from pni_fast.distribution.left_out import ToMap, at_patches
from pni_fast.distribution.made import MadeDefects
from pni_fast.distribution.trying import MOST_TRIED
from pni_fast.features.stored import Extract
from pni_fast.runtime.copies import on_device, to_host
from pni_fast.runtime.run import Run
from pni_fast.synthetic.defects import KINDS, SMALLEST_SIDE, synthesize

PICTURES = 12
"""Defective pictures, about, that go through the backbone, the four kinds in equal parts."""


def defects_in(sources: Sequence[Source], extract: Extract, config: Config, run: Run) -> MadeDefects | None:
    """Return what draws defects in the images of a fit and extracts their features; None in tiny pictures.

    Parameters
    ----------
    sources
        The images of the fit, in order.
    extract
        Takes crops on `run.device`.
    config
        Its geometry and seed.
    run
        Where the networks are.
    """
    if min(config.geometry.shape) < SMALLEST_SIDE:
        return None
    # Few images have several kinds each, of many every second or so has one.
    each = min(len(KINDS), -(-PICTURES // len(sources)))
    step = max(1, min(len(sources), MOST_TRIED) // PICTURES)

    def made(index: int, place: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        if place % step:
            return {}
        crop = read_crop(sources[index], config.geometry)
        found: dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]] = {}
        for kind in (KINDS[(place // step + number) % len(KINDS)] for number in range(each)):
            rng = np.random.default_rng((config.seed, index, KINDS.index(kind)))
            image, mask = synthesize(crop, kind, rng)
            (grid,) = to_host(extract(on_device(image[None], run.device)))[0]
            found[kind] = grid.reshape(-1, grid.shape[-1]), at_patches(mask, grid.shape[:2])
        return found

    return made


def made_inside(made: MadeDefects | None, inspected: Inspected) -> MadeDefects | None:
    """Return what draws defects, as a model sees them that inspects a region; those outside are left out."""
    if made is None:
        return None

    def within(index: int, place: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        drawn = {
            kind: (rows[inspected.sources], mask & inspected.inside)
            for kind, (rows, mask) in made(index, place).items()
        }
        return {kind: (rows, mask) for kind, (rows, mask) in drawn.items() if mask.any()}

    return within


def map_inside(to_map: ToMap, inspected: Inspected) -> ToMap:
    """Return the way to a map that is 0 outside what is inspected."""
    return lambda scores: inspected.shown(to_map(scores))
