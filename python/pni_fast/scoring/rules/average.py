"""The paper's rule."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pni_fast.distribution.distribution import Distribution

from .thresholds import ThresholdRule


class AverageRule(ThresholdRule):
    """(p(c|N_p(x)) + p(c|x)) / 2 against τ: equation (6)."""

    def __init__(self, distribution: Distribution, device: torch.device) -> None:
        super().__init__(distribution, device)
        self._device_position: Tensor | None = None
        if self.position is not None:
            self._device_position = torch.from_numpy(np.ascontiguousarray(self.position)).to(device)

    def combined(self, neighborhood: Tensor) -> list[Tensor | None]:
        """Return the classes whose mean probability exceeds τ."""
        assert self._device_position is not None
        return [self.above((neighborhood + self._device_position) * 0.5)]
