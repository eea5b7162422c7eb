"""Whether position may be used: not where it would cost image AUROC on the training images' own evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError

from .left_out import LeftOut
from .shrinkage import tail_rate

LIMIT = 0.05
"""Most image AUROC that position may put at risk."""


@dataclass(frozen=True)
class Gate:
    """What images left out of the fit say about position.

    Parameters
    ----------
    risk
        The most image AUROC that position can cost, in [0, 1]; None where no image could be left out.
    kept
        Whether position is used.

    Notes
    -----
    A patch held to what position allows is never nearer to the normal ones than without, so the scores of
    good images can only rise. In the worst case those of defective ones do not, and every rise is lost.

    How much is lost follows from how far good scores spread. An image's score is the maximum of its map, and
    the maximum of many values with an exponential tail of rate ρ, exp(−ρ·s), follows a Gumbel distribution of
    scale 1/ρ. For defects whose scores spread likewise, D higher, the difference of a defective and a good
    score is logistic, and image AUROC is σ(ρD), σ(z) = 1/(1 + e⁻ᶻ). A rise r of the good scores makes it
    σ(ρ(D − r)). The loss is largest for the defects in between, at D = r/2, where it is tanh(ρr/4). The risk
    is the mean of this over the images left out, with ρ measured on their maps. However far one image rises,
    it counts for no more than itself, and ρ comes from thousands of places of the maps: a handful of images
    is enough.
    """

    risk: float | None
    kept: bool

    def __post_init__(self) -> None:
        number = isinstance(self.risk, (int, float)) and not isinstance(self.risk, bool)
        if self.risk is not None and not (number and 0 <= self.risk <= 1):
            raise PniError(f"gate.risk must be in [0, 1] or none, got {self.risk!r}")
        if not isinstance(self.kept, bool):
            raise PniError(f"gate.kept must be yes or no, got {self.kept!r}")

    @classmethod
    def of(cls, left_out: LeftOut | None) -> Gate:
        """Return the verdict; without an image left out nothing speaks for position and it is dropped."""
        if left_out is None:
            return cls(None, kept=False)
        assert left_out.bound is not None  # asked for wherever there is a gate
        risk = risk_of(left_out.bound - left_out.free, left_out.maps)
        return cls(risk, kept=risk <= LIMIT)

    @property
    def words(self) -> str:
        """The verdict for a reader."""
        if self.risk is None:
            return "dropped: one image does not show what it costs"
        if self.kept:
            return f"kept: it puts at most {self.risk:.3f} of image AUROC at risk ({LIMIT} is allowed)"
        return f"dropped: it would put up to {self.risk:.3f} of image AUROC at risk ({LIMIT} is allowed)"


def risk_of(rises: NDArray[np.float64], maps: NDArray[np.float32]) -> float:
    """Return the most image AUROC that rises of the scores of good images can cost (see :class:`Gate`).

    Parameters
    ----------
    rises
        (n,) of the scores of images left out.
    maps
        (n, h, w) their maps without the rise, whose tail says how far good scores spread.
    """
    return float(np.tanh(tail_rate(maps) * rises / 4).mean())
