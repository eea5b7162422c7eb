"""How a refiner is built and trained: data, so that a researcher changes one thing and sees what it does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from pni_fast.errors import PniError

from .checks import (
    LARGEST_COUNT,
    LARGEST_SIDE,
    check_highest,
    check_lowest,
    check_network_name,
    check_not_negative,
    check_share,
    check_types,
)

HIGHEST = {
    "levels": 15,  # timm's networks have at most a handful
    "widths": 4096,  # one convolution between two of these takes half a gigabyte
    "side": LARGEST_SIDE,
    **dict.fromkeys(("bank", "iterations", "batch", "checkpoint_every"), LARGEST_COUNT),
}


@dataclass(frozen=True)
class RefinerConfig:
    """Everything about a refiner except its weights.

    Parameters
    ----------
    encoder
        A timm network with ``features_only``.
    levels
        Which of its pyramid levels the decoder uses, finest first.
    widths
        Channels of the decoder's blocks, coarsest first: one for each level but the last, one for full size.
    residual
        Add what the decoder finds to a logistic curve of the map itself: training then starts from the map.
        False: the refined map comes out of the decoder alone, as in the paper.
    side
        Longer side, in pixels, that images are reduced to for the network. None: they are not reduced.
    bank
        How many synthetic images are made, and their maps computed, once before training; never more than
        training sees. 0: each is made when it is needed and seen once, as in the paper.
    sound
        Images without a defect in the bank, for each with one: the network also sees maps that nothing is to
        be found in. 0: none, as in the paper.
    faintest
        Smallest share of what a defect adds to its map that the online augmentation leaves of it; the map
        of the same image without the defect is the rest. 1: maps as they are, as in the paper.
    iterations, batch
        Steps, and images in each.
    learning_rate
        Adam's; with `anneal` the highest of a one-cycle schedule.
    anneal
        Warm up over the first tenth, then fall along a cosine to 0. False: constant, as in the paper.
    ratio
        Share of the refined map in the final one; the paper has 0.1 (section 4.1).
    rotation
        Largest turn, degrees, of the online augmentation.
    colour
        Largest change of colour of the online augmentation (see `synthetic.colour.jitter`).
    checkpoint_every
        Iterations between checkpoints.

    Raises
    ------
    PniError
        A value is of another type or out of its range, or levels and widths do not fit.
    """

    encoder: str = "tf_efficientnet_lite0"
    levels: tuple[int, ...] = (0, 1, 2, 3)
    widths: tuple[int, ...] = (48, 32, 24, 16)
    residual: bool = True
    side: int | None = 128
    bank: int = 200
    sound: float = 0.0
    faintest: float = 1.0
    iterations: int = 140
    batch: int = 8
    learning_rate: float = 5e-4
    anneal: bool = True
    ratio: float = 0.1
    rotation: float = 10.0
    colour: float = 0.1
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        check_types(self)
        if len(self.widths) != len(self.levels) or not self.levels:
            raise PniError(
                f"widths must name {len(self.levels)} blocks, one for each level, got {len(self.widths)}"
            )
        check_network_name(self.encoder, "encoder")
        if self.levels[0] < 0 or any(one >= two for one, two in pairwise(self.levels)):
            raise PniError(f"levels must be whole numbers from 0 up, in order, got {self.levels}")
        if min(self.widths) < 1:
            raise PniError(f"widths must be at least 1, got {self.widths}")
        lowest = {"side": 16, "bank": 0, "iterations": 1, "batch": 1, "checkpoint_every": 1}
        check_lowest(self, lowest)
        check_highest(self, HIGHEST)
        if not 0.0 < self.learning_rate < math.inf:
            raise PniError(f"learning_rate must be above 0, got {self.learning_rate}")
        check_share(self, "ratio", "sound", "faintest")
        check_not_negative(self, "rotation", "colour")
        if self.bank and self.bank < self.batch:
            raise PniError(f"bank must be 0 or at least the batch of {self.batch}, got {self.bank}")
        if self.needs_sound_maps and not self.bank:
            raise PniError("bank must be at least 1 where sound is not 0 or faintest not 1, got 0")

    @property
    def needs_sound_maps(self) -> bool:
        """Whether the maps of images without a defect are part of the training."""
        return self.sound > 0.0 or self.faintest < 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RefinerConfig:
        """Rebuild settings from `as_dict`, tuples having become lists; TypeError when they do not fit."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**plain)


REFINERS: dict[str, RefinerConfig] = {
    "lite": RefinerConfig(sound=0.125, faintest=0.3, ratio=0.3),
    "paper": RefinerConfig(
        encoder="densenet161",
        levels=(0, 1, 2, 3, 4),
        widths=(1104, 552, 276, 138, 69),
        residual=False,
        side=None,
        bank=0,
        iterations=55_000,
        learning_rate=1e-4,
        anneal=False,
        checkpoint_every=500,
    ),
}
"""``paper``: section 4.1 to the letter. ``lite``: a small encoder on small images, a minute on two cores.

The paper's ratio of 0.1 goes with maps whose defects reach 1. Here 1 is the highest value of a map of a
normal image left out, and defects reach about twice that: `lite` takes more of the refined map to have as
much of it.
"""
