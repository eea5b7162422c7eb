"""anomalib's Patchcore with the exact coreset: one line before ``Engine.fit``.

>>> import pni_fast.anomalib
>>> pni_fast.anomalib.install()  # doctest: +SKIP

From then on every ``Patchcore`` of this process picks its memory bank with :class:`KCenterGreedy` below.
anomalib itself is imported by `install` only.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from .kernels import greedy_coreset

__all__ = ["KCenterGreedy", "install", "uninstall"]

_MODULE = "anomalib.models.image.patchcore.torch_model"


class KCenterGreedy:
    """Exact greedy k-center in the original space, with the interface of anomalib's class of this name.

    anomalib's own selects in a random projection of the embedding and with one pass over it per pick.

    Parameters
    ----------
    embedding
        (n, d) tensor on any device; (n, …) is flattened to that.
    sampling_ratio
        Share of the rows to pick: a float in (0, 1], rounded down.

    Attributes
    ----------
    coreset_size
        Number of rows to pick.

    Raises
    ------
    ValueError
        The ratio picks no row, or more than there are.
    """

    def __init__(self, embedding: torch.Tensor, sampling_ratio: float) -> None:
        self.embedding = embedding
        rows = len(embedding)
        self.coreset_size = int(rows * sampling_ratio)
        if not 1 <= self.coreset_size <= rows:
            raise ValueError(
                f"sampling_ratio must pick from 1 to {rows} of {rows} rows, got {sampling_ratio!r} "
                f"which picks {self.coreset_size}"
            )

    def select_coreset_idxs(self) -> list[int]:
        """Return the picked rows in order; the first is random, from torch's generator as in anomalib."""
        rows = len(self.embedding)
        start = int(torch.randint(high=rows, size=(1,), device=self.embedding.device))
        features = self.embedding.detach().reshape(rows, -1).cpu()
        picked: list[int] = greedy_coreset(features, self.coreset_size, start=start).indices.tolist()
        return picked

    def sample_coreset(self) -> torch.Tensor:
        """Return the picked rows of the embedding, on its device."""
        return self.embedding[self.select_coreset_idxs()]


def install() -> None:
    """Let anomalib's Patchcore select with :class:`KCenterGreedy`; calling it again changes nothing.

    Raises
    ------
    ImportError
        anomalib is not installed, or has no Patchcore where version 2 has it.
    """
    module = _module()
    if module.KCenterGreedy is not KCenterGreedy:
        _original.append(module.KCenterGreedy)
        module.KCenterGreedy = KCenterGreedy


def uninstall() -> None:
    """Give anomalib's own sampler back, where `install` replaced it."""
    if _original:
        _module().KCenterGreedy = _original.pop()


_original: list[Any] = []


def _module() -> Any:
    module = import_module(_MODULE)
    if not hasattr(module, "KCenterGreedy"):
        raise ImportError(f"{_MODULE} has no KCenterGreedy: this version of anomalib is not supported")
    return module
