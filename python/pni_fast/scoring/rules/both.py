"""Each condition by itself, and both must allow."""

from __future__ import annotations

import torch
from torch import Tensor

from pni_fast.distribution.distribution import Distribution

from .thresholds import ThresholdRule


class BothRule(ThresholdRule):
    """A class is allowed where each condition allows it; where they share none, where position does."""

    def __init__(self, distribution: Distribution, device: torch.device) -> None:
        super().__init__(distribution, device)
        self._device_bits = None if self.host_bits is None else self.host_bits.to(device)

    def combined(self, neighborhood: Tensor) -> list[Tensor | None]:
        """Return the classes that both allow, or position alone where they agree on nothing."""
        assert self._device_bits is not None
        bits = self.above(neighborhood) & self._device_bits
        # The two may agree on nothing; position then decides alone, since a map cannot hold infinity.
        return [torch.where((bits != 0).any(dim=-1, keepdim=True), bits, self._device_bits)]
