"""Each condition by itself, and both must allow."""

from __future__ import annotations

from pni_fast.distribution.distribution import Distribution
from pni_fast.runtime.copies import Values, on_device
from pni_fast.runtime.device import Device
from pni_fast.scoring.packing import agreed

from .thresholds import ThresholdRule


class BothRule(ThresholdRule):
    """A class is allowed where each condition allows it; where they share none, where position does."""

    def __init__(self, distribution: Distribution, device: Device) -> None:
        super().__init__(distribution, device)
        self._bits = None if self.host_bits is None else on_device(self.host_bits, device)

    def combined(self, neighborhood: Values) -> list[Values | None]:
        """Return the classes that both allow, or position alone where they agree on nothing."""
        assert self._bits is not None
        bits: Values = self.above(neighborhood) & self._bits
        # The two may agree on nothing; position then decides alone, since a map cannot hold infinity.
        return [agreed(bits, self._bits)]
