"""Combine position and neighborhood: classes allowed at each patch, or what each class costs there."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

FLOOR = np.float32(1e-12)
"""Least probability whose logarithm is taken: penalties stay finite where a softmax underflows."""


def pack(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (…, K) booleans as (…, ceil(K/8)) bytes, lowest bit first."""
    return np.packbits(allowed, axis=-1, bitorder="little")


def pack_on(allowed: Tensor) -> Tensor:
    """Return :func:`pack` of a tensor on its device."""
    if allowed.device.type == "cpu" and not torch.compiler.is_compiling():  # NumPy is faster there
        return torch.from_numpy(pack(allowed.numpy()))
    return shifted(allowed)


def shifted(allowed: Tensor) -> Tensor:
    """Return :func:`pack` of a tensor, eight classes at a time as the bytes of one integer.

    Of eight bytes that are 0 or 1, shifting by 7·i brings number i to bit i of the lowest one.
    """
    classes = allowed.shape[-1]
    # Converted, not viewed as bytes: up to torch 2.4 at least, torch.compile cannot view booleans.
    words = F.pad(allowed.to(torch.uint8), (0, -classes % 8)).contiguous().view(torch.int64)
    words = words | (words >> 7)
    words = words | (words >> 14)
    words = words | (words >> 28)
    return (words & 0xFF).to(torch.uint8)


class Conditions:
    """p(c_dist | Ω), by threshold as packed bits or without one as a penalty, one row a patch of the map.

    Parameters
    ----------
    position
        p(c | x), float32 (h·w, K), or None where position is switched off.
    tau
        τ, above which a probability allows its class; 1 / (2·|C_emb|) in the paper.
    rule
        With both conditions: ``"average"`` thresholds (p(c|N) + p(c|x)) / 2, equation (6); ``"both"``
        allows a class that each condition allows by itself, and where they share none what position allows;
        ``"scores"`` thresholds each condition by itself and averages the two scores. ``"penalty"`` has no
        threshold: it is the −log p(c|Ω) of equation (5), added to the distance.
    device
        Where thresholds are applied.
    """

    def __init__(
        self,
        position: NDArray[np.float32] | None,
        tau: float,
        rule: str,
        device: torch.device | str = "cpu",
    ) -> None:
        self.tau = float(np.float32(tau))  # exactly the float32 that probabilities are compared with
        self.rule = rule
        self._known = position if rule == "penalty" else None
        self._position: Tensor | None = None
        self._bits: Tensor | None = None
        self._host_bits: Tensor | None = None
        if position is not None and rule != "penalty":
            self._host_bits = torch.from_numpy(pack(position > self.tau))
            self._bits = self._host_bits.to(device)
            if rule == "average":
                self._position = torch.from_numpy(np.ascontiguousarray(position)).to(device)
        self._position_penalty = None if self._known is None else _surprise(self._known)

    def allowed(self, neighborhood: Tensor | None) -> list[Tensor | None]:
        """Return the packed allowed classes of maps, uint8; None where everything is allowed.

        One entry, or two with the rule ``"scores"``: the scores found under each are to be averaged. What
        position decides alone is the same for every map, (h·w, ceil(K/8)), and on the host; the rest is
        (…, h·w, ceil(K/8)), on the device.

        Parameters
        ----------
        neighborhood
            p(c | N_p(x)), float32 (…, h·w, K) on the device, or None where neighborhood is switched off.
        """
        if neighborhood is None:
            return [self._host_bits]
        tau = self.tau
        if self._bits is None:
            return [pack_on(neighborhood > tau)]
        if self._position is not None:
            return [pack_on((neighborhood + self._position) * 0.5 > tau)]
        alone = pack_on(neighborhood > tau)
        if self.rule == "scores":
            return [self._host_bits, alone]
        bits = alone & self._bits
        # The two may agree on nothing; position then decides alone, since a map cannot hold infinity.
        return [torch.where((bits != 0).any(dim=-1, keepdim=True), bits, self._bits)]

    def penalty(self, neighborhood: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        """Return −log p(c | Ω), float32 (h·w, K), natural logarithm; None where nothing is known.

        Parameters
        ----------
        neighborhood
            p(c | N_p(x)) of one map, float32 (h·w, K), or None where neighborhood is switched off. With both
            conditions p(c|Ω) is their mean, equation (6).
        """
        if neighborhood is None:
            return self._position_penalty
        if self._known is None:
            return _surprise(neighborhood)
        return _surprise((neighborhood + self._known) * np.float32(0.5))


def _surprise(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    surprise: NDArray[np.float32] = -np.log(np.maximum(probability, FLOOR))
    return surprise
