"""Several fitted models as one: the mean of their normalised maps (paper section 4.1).

Every member is a whole model, fitted as it would be alone, its own refiner included. A member's map is
brought to [0, 1] by the lowest and highest value of its maps of normal images, both fixed when it was fitted;
defects go beyond 1. All members stay loaded while images are scored, and each batch goes through them one
after another: memory then holds every member's parameters, but no map has to wait and no image is read twice,
so that predictions still come one by one, in order, from inputs of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.decision import Decision
from pni_fast.runtime.copies import Values
from pni_fast.runtime.run import Run
from pni_fast.scoring.image_maps import Maps
from pni_fast.scoring.map_range import normalised
from pni_fast.scoring.scorer import ForEach

from .fitted import PARTS, Fitted

NORMAL_RANGE = (0.0, 1.0)
"""What the mean of maps stays in on the images that fixed the members' ranges."""


class EnsembleScorer:
    """Score crops with every member and average the normalised maps.

    Parameters
    ----------
    scorers
        One for each member, each on the device of the crops.
    ranges
        Lowest and highest value of each member's maps of normal images.
    """

    def __init__(self, scorers: Sequence[Maps], ranges: Sequence[tuple[float, float]]) -> None:
        self.scorers = scorers
        self.ranges = ranges

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the mean maps, float32 (H, W) each; arguments as for :meth:`Scorer.maps`."""
        totals: list[NDArray[np.float32]] = []
        for scorer, (low, high) in zip(self.scorers, self.ranges, strict=True):
            maps = [normalised(found, low, high) for found in scorer.maps(crops, threads, for_each)]
            totals = [total + one for total, one in zip(totals, maps, strict=True)] if totals else maps
        return [total / np.float32(len(self.scorers)) for total in totals]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Two or more fitted models that score as one, beside :class:`.fitted.Fitted`.

    Parameters
    ----------
    config
        All settings; its `backbone` names every member's.
    members
        The models, in the order of the backbones, all fitted on the same images.
    decision
        As for :class:`.fitted.Fitted`, of the mean maps.
    """

    config: Config
    members: tuple[Fitted, ...]
    decision: Decision | None = None

    @property
    def n_images(self) -> int:
        """Images fitted on."""
        return self.members[0].n_images

    @property
    def normalization(self) -> tuple[float, float]:
        """Range of the mean maps on normal images: that of every member's normalised maps."""
        return NORMAL_RANGE

    def scorer(self, run: Run) -> EnsembleScorer:
        """Return what gives the mean maps, the networks of all members on the device of the run."""
        return EnsembleScorer(
            [member.scorer(run) for member in self.members],
            [member.normalization for member in self.members],
        )

    def summary(self) -> dict[str, Any]:
        """Return what the model holds, as plain values for JSON."""
        each = [member.summary() for member in self.members]
        own = (
            *("backbone", "weights", "grid", "coreset", "dimension", "distribution_coreset"),
            *("parts", "position", "position_risk", "context", "conditions", "weight", "trials"),
            "normalization",
        )
        return {
            "preset": self.config.preset,
            "backbone": [one["backbone"] for one in each],
            "weights": [one["weights"] for one in each],
            "n_images": self.n_images,
            "members": [{name: one[name] for name in own} for one in each],
            "parts": [name for name in PARTS if any(name in one["parts"] for one in each)],
            "normalization": list(self.normalization),
            "decision": None if self.decision is None else self.decision.summary(),
            "config": self.config.as_dict(),
        }


FittedModel: TypeAlias = Fitted | Ensemble
"""What a fit gives and a model file holds."""


def combine(config: Config, members: Sequence[Fitted]) -> FittedModel:
    """Return the model of one member, or the ensemble of several."""
    return members[0] if len(members) == 1 else Ensemble(config, tuple(members))
