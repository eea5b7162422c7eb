"""The features alone and the features held to a condition, by a weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distribution.distribution import Distribution
from pni_fast.kernels import nearest
from pni_fast.kernels.bound import blended, bound_distances
from pni_fast.runtime.copies import Values
from pni_fast.runtime.device import Device

from .both import BothRule


class BlendRule(BothRule):
    """S(x) = λ·((1 − w)·free + w·bound): distances to the nearest vector, and to the nearest that is allowed.

    Position or context says what is allowed, context by the image at hand; neighborhood, where it is switched
    on, must allow too, as in :class:`.both.BothRule`.
    """

    def __init__(self, distribution: Distribution, device: Device) -> None:
        super().__init__(distribution, device)
        self.context, self.weight = distribution.context, distribution.weight

    def evidence(self, neighborhood: Values | None) -> list[Values | None]:
        """Return packed allowed classes, as any rule with a threshold; nothing where none has a say."""
        return super().evidence(neighborhood) if self.weight else [None]

    def scores(
        self, rows: NDArray[np.float32], evidence: Sequence[NDArray[Any] | None], threads: int
    ) -> NDArray[np.float32]:
        """Return λ times the weighed distances."""
        (allowed,) = evidence
        found, free = nearest(rows, self.coreset, num_threads=threads)
        if self.context is not None and self.weight:
            alike = self.context.allowed(rows, threads)
            if allowed is not None:
                shared = alike & allowed
                alike = np.where((shared != 0).any(axis=1, keepdims=True), shared, alike)
            allowed = alike
        if allowed is None:
            return self.scaled(free)
        bound = bound_distances(rows, self.coreset, self.groups, allowed, found, free, num_threads=threads)
        return self.scaled(blended(free, bound, self.weight))
