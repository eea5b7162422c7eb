"""The neighborhood MLP made ready to score: its first layer laid out once, for any number of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pni_fast.runtime.copies import Values
from pni_fast.runtime.gpu_calls import filled, on_gpu_thread
from pni_fast.runtime.precision import Precision

from .rules import Rule

if TYPE_CHECKING:
    from torch import Tensor

    from pni_fast.distribution.neighborhood import NeighborhoodMLP

Conditions: TypeAlias = Callable[[Values], list[Values | None]]
"""From features (b, h, w, d) to a rule's evidence: arrays on a CPU, tensors on a GPU."""


class ReadyNeighborhood:
    """The MLP with the kernel of its first layer, which at the paper's size is 340 MB in half precision.

    Parameters
    ----------
    mlp
        On its device.
    precision
        Of its layers.
    """

    def __init__(self, mlp: NeighborhoodMLP, precision: Precision) -> None:
        self.mlp, self.precision = mlp, precision
        self._kernel = mlp.scoring_kernel(precision)

    def conditions(self, rule: Rule) -> Conditions:
        """Return what goes from features to the evidence of a rule.

        It refers to nothing that refers to it: the kernel is given back with the last that uses it.
        """
        import torch

        from pni_fast.runtime.compiling import Compiled, compiles

        mlp, kernel, precision = self.mlp, self._kernel, self.precision
        on_cpu = rule.device.type == "cpu"

        def found(inputs: Tensor) -> Any:
            classes = mlp.classes(inputs, kernel)
            return classes if on_cpu else rule.evidence(classes)

        networks: Callable[[Tensor], Any] = found
        if compiles(mlp.offsets.device):
            networks = Compiled(lambda inner, inputs: inner(inputs), found)

        @torch.inference_mode()
        def computed(features: Tensor) -> Any:
            inputs = mlp.reduce(features)
            with precision.in_networks():
                return networks(inputs)

        def conditions(features: Values) -> list[Values | None]:
            given = torch.from_numpy(features) if isinstance(features, np.ndarray) else features
            if on_cpu:
                return rule.evidence(computed(given).numpy())
            found = on_gpu_thread(rule.device, lambda: computed(filled(given)))
            return [part if part is None or part.ndim == 2 else part[: len(given)] for part in found]

        return conditions
