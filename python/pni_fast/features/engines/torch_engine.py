"""PyTorch: on GPUs, and what every other engine is held against."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .engine import Inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pni_fast.features.extractor import FeatureExtractor


class TorchEngine:
    """An extractor as PyTorch runs it, where its network is.

    Parameters
    ----------
    extractor
        On the device that computes. On a CPU the calling thread computes alone, as `thread_pool` has set it.
    precision
        What the backbone runs within, as :meth:`pni_fast.runtime.precision.Precision.in_backbone`.
    """

    name = "torch"

    def __init__(
        self,
        extractor: FeatureExtractor,
        precision: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.extractor = extractor
        self._precision = precision

    def __call__(self, *inputs: Inputs) -> NDArray[np.float32]:
        """Return Φ, float32 (b, h, w, d), of uint8 RGB crops (b, H, W, 3)."""
        import torch

        (crops,) = inputs
        given = torch.from_numpy(np.ascontiguousarray(crops)).to(self.extractor.mean.device)
        with self._precision():
            features: NDArray[np.float32] = self.extractor(given).cpu().numpy()
        return features
