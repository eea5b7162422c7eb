"""The fitted distribution: coreset, position, context and neighborhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError

from .context import Context
from .gate import Gate
from .threshold import threshold
from .trials import Trials

if TYPE_CHECKING:
    from pni_fast.runtime.networks import StoredNetwork

    from .neighborhood import NeighborhoodMLP

SCALES = (1e-18, 1e18)
"""Of λ: its product with a distance must have a float32."""

LARGEST_FEATURE = 1e15
"""Of a coreset's values: the sum of a thousand squares must have a float32."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """What normal features are, given where they are and what surrounds them.

    Parameters
    ----------
    coreset
        C_emb, float32 (m, d), in the greedy order; its first K rows are C_dist.
    groups
        Index of the nearest C_dist vector of each row of C_emb, int64 (m,).
    n_classes
        K = |C_dist|.
    position
        p(c_dist | x), float32 (h, w, K): the mean of a Dirichlet posterior around the class frequencies,
        which count as m patches; m = 0 leaves the relative frequencies of Algorithm 1. None where position is
        not used; `gate` says why.
    neighborhood
        The model of p(c_dist | N_p(x)), or None where neighborhood is switched off.
    scale
        λ of p(Φ|c) = exp(−λ‖Φ − c‖).
    gate
        What images left out said about position, or None where they were not asked.
    context
        The alike images that a patch may be held to instead of position, or None.
    weight
        How much the distance under position or context counts beside the free one, in [0, 1], where the rule
        weighs the two.
    trials
        What was tried before position or context was chosen, or None where nothing was.

    Raises
    ------
    PniError
        A size does not fit the others, or a number is none that can be worked with.
    """

    coreset: NDArray[np.float32]
    groups: NDArray[np.int64]
    n_classes: int
    position: NDArray[np.float32] | None
    neighborhood: StoredNetwork[NeighborhoodMLP] | None
    scale: float = 1.0
    gate: Gate | None = None
    context: Context | None = None
    weight: float = 1.0
    trials: Trials | None = None

    def __post_init__(self) -> None:
        count = len(self.coreset)
        # Classes may be empty: where an image is left out, its vectors go and the others keep their numbers.
        if self.coreset.ndim != 2 or 0 in self.coreset.shape or self.n_classes < 1:
            raise PniError(
                f"coreset must be (m, d) of at least one class, got {self.coreset.shape} of {self.n_classes}"
            )
        if self.groups.shape != (count,) or not 0 <= self.groups.min() <= self.groups.max() < self.n_classes:
            raise PniError(
                f"groups must be {count} numbers from 0 to {self.n_classes - 1}, "
                f"got {self.groups.size} from {self.groups.min(initial=0)} to {self.groups.max(initial=0)}"
            )
        if self.position is not None and (
            self.position.ndim != 3 or self.position.shape[2] != self.n_classes
        ):
            raise PniError(f"position must be (h, w, {self.n_classes}), got {self.position.shape}")
        if not SCALES[0] <= self.scale <= SCALES[1]:
            raise PniError(f"scale must be from {SCALES[0]} to {SCALES[1]}, got {self.scale}")
        # NaN is neither: comparisons with it are false.
        if not -LARGEST_FEATURE <= self.coreset.min() <= self.coreset.max() <= LARGEST_FEATURE:
            raise PniError(
                f"coreset must hold numbers up to {LARGEST_FEATURE}, "
                f"got {self.coreset.min()} to {self.coreset.max()}"
            )
        position = self.position
        if position is not None and not (position.size and 0 <= position.min() <= position.max() <= 1.001):
            raise PniError(
                "position must hold probabilities, "
                f"got {position.min(initial=0)} to {position.max(initial=0)}"
            )

        if self.context is not None and self.context.n_classes != self.n_classes:
            raise PniError(f"context must have {self.n_classes} classes, got {self.context.n_classes}")
        if not 0 <= self.weight <= 1:
            raise PniError(f"weight must be in [0, 1], got {self.weight}")

    @property
    def condition(self) -> str:
        """What a patch is held to beside the features: ``"none"``, ``"position"`` or ``"context"``."""
        if self.context is not None:
            return "context"
        return "none" if self.position is None else "position"

    @property
    def tau(self) -> np.float32:
        """τ of equation (4), above which a probability allows its class."""
        return threshold(len(self.coreset))


def distribution_size(coreset_size: int, most: int) -> int:
    """Return K = |C_dist|: the size asked for, or all of C_emb where that is smaller."""
    return min(most, coreset_size)
