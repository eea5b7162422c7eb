"""What the rules with a threshold share: bits of what is allowed, and the search among them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distribution.distribution import Distribution
from pni_fast.kernels.packing import pack
from pni_fast.runtime.copies import Values, on_host
from pni_fast.runtime.device import Device
from pni_fast.scoring.packing import pack_on

from .rule import Rule


class ThresholdRule(Rule):
    """A class is allowed at x where a probability exceeds τ (equation (4)); its evidence is packed bits.

    Parameters
    ----------
    distribution, device
        As for :class:`.rule.Rule`.
    """

    def __init__(self, distribution: Distribution, device: Device) -> None:
        super().__init__(distribution, device)
        self.tau = float(distribution.tau)
        self.position: NDArray[np.float32] | None = None
        self.host_bits: Values | None = None
        if distribution.position is not None:
            self.position = distribution.position.reshape(-1, distribution.n_classes)
            self.host_bits = on_host(pack(self.position > self.tau), device)

    def evidence(self, neighborhood: Values | None) -> list[Values | None]:
        """Return packed allowed classes: on the host where position decides alone, else on the device."""
        if neighborhood is None:
            return [self.host_bits]
        if self.host_bits is None:
            return [self.above(neighborhood)]
        return self.combined(neighborhood)

    @abstractmethod
    def combined(self, neighborhood: Values) -> list[Values | None]:
        """Return :meth:`evidence` where there are both conditions."""

    def above(self, probability: Values) -> Values:
        """Return the packed classes whose probability exceeds τ."""
        return pack_on(probability > self.tau)

    def scores(
        self, rows: NDArray[np.float32], evidence: Sequence[NDArray[Any] | None], threads: int
    ) -> NDArray[np.float32]:
        """Return λ · distance to the nearest allowed vector of C_emb: equations (2) to (5)."""
        (allowed,) = evidence
        return self.scaled(self.distances(rows, allowed, threads))
