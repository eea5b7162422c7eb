"""The paper's rule."""

from __future__ import annotations

from pni_fast.distribution.distribution import Distribution
from pni_fast.runtime.copies import Values, on_device
from pni_fast.runtime.device import Device

from .thresholds import ThresholdRule


class AverageRule(ThresholdRule):
    """(p(c|N_p(x)) + p(c|x)) / 2 against τ: equation (6)."""

    def __init__(self, distribution: Distribution, device: Device) -> None:
        super().__init__(distribution, device)
        self._position = None if self.position is None else on_device(self.position, device)

    def combined(self, neighborhood: Values) -> list[Values | None]:
        """Return the classes whose mean probability exceeds τ."""
        total: Values = neighborhood + self._position  # type: ignore[operator]  # both of one kind
        return [self.above(total * 0.5)]
