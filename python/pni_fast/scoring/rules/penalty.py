"""Equation (5) without its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distribution.distribution import Distribution
from pni_fast.kernels.penalty import nearest_with_penalty
from pni_fast.runtime.copies import Values
from pni_fast.runtime.device import Device

from .rule import Rule

FLOOR = np.float32(1e-12)
"""Least probability whose logarithm is taken: penalties stay finite where a softmax underflows."""


class PenaltyRule(Rule):
    """S(x) = min over c of λ‖Φ(x) − c‖ − log p(c|Ω): a class seldom seen here costs more, none is forbidden.

    With both conditions p(c|Ω) is their mean, equation (6). The evidence is p(c | N_p(x)), where there is a
    neighborhood; position stays on the host.
    """

    def __init__(self, distribution: Distribution, device: Device) -> None:
        super().__init__(distribution, device)
        self._position: NDArray[np.float32] | None = None
        self._position_penalty: NDArray[np.float32] | None = None
        if distribution.position is not None:
            self._position = distribution.position.reshape(-1, distribution.n_classes)
            self._position_penalty = surprise(self._position)

    def evidence(self, neighborhood: Values | None) -> list[Values | None]:
        """Return p(c | N_p(x)), float32 (b, h·w, K), or None where neighborhood is switched off."""
        return [neighborhood]

    def scores(
        self, rows: NDArray[np.float32], evidence: Sequence[NDArray[Any] | None], threads: int
    ) -> NDArray[np.float32]:
        """Return the least sum of λ · distance and penalty."""
        (neighborhood,) = evidence
        penalty = self.penalty(neighborhood)
        if penalty is None:
            return self.scaled(self.distances(rows, None, threads))
        found = nearest_with_penalty(
            rows, self.coreset, self.groups, penalty / self.scale, num_threads=threads
        )
        return self.scaled(found)

    def penalty(self, neighborhood: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        """Return −log p(c | Ω) of one map, float32 (h·w, K); None where nothing is known."""
        if neighborhood is None:
            return self._position_penalty
        if self._position is None:
            return surprise(neighborhood)
        return surprise((neighborhood + self._position) * np.float32(0.5))


def surprise(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return −log of a probability, natural logarithm, finite also where it is 0."""
    bounded: NDArray[np.float32] = -np.log(np.maximum(probability, FLOOR))
    return bounded
