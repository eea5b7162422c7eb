"""The rule of the authors' code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.runtime.copies import Values

from .thresholds import ThresholdRule


class ScoresRule(ThresholdRule):
    """Each condition against τ by itself, and the mean of the two scores."""

    def combined(self, neighborhood: Values) -> list[Values | None]:
        """Return what position allows, on the host, and what neighborhood allows, on the device."""
        return [self.host_bits, self.above(neighborhood)]

    def scores(
        self, rows: NDArray[np.float32], evidence: Sequence[NDArray[Any] | None], threads: int
    ) -> NDArray[np.float32]:
        """Return the score, or the mean of the scores found under each condition."""
        if len(evidence) == 1:
            return super().scores(rows, evidence, threads)
        first, second = (self.distances(rows, allowed, threads) for allowed in evidence)
        return self.scaled((first + second) * np.float32(0.5))
