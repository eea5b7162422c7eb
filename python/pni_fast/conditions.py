"""Combine position and neighborhood into the set of classes allowed at each patch (equations 4 to 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pack(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (n, K) booleans as (n, ceil(K/8)) bytes, lowest bit first."""
    return np.packbits(allowed, axis=1, bitorder="little")


class Conditions:
    """T_τ(p(c_dist | Ω)) as packed bits, one row a patch of the map.

    Parameters
    ----------
    position
        p(c | x), float32 (h·w, K), or None where position is switched off.
    tau
        τ, above which a probability allows its class; 1 / (2·|C_emb|) in the paper.
    rule
        With both conditions: ``"average"`` thresholds (p(c|N) + p(c|x)) / 2, equation (6); ``"both"``
        allows a class that each condition allows by itself, and where they share none what position allows.
    """

    def __init__(self, position: NDArray[np.float32] | None, tau: float, rule: str) -> None:
        self.position = position
        self.tau = np.float32(tau)
        self.rule = rule
        self._position_bits = None if position is None else pack(position > self.tau)

    def allowed(self, neighborhood: NDArray[np.float32] | None) -> NDArray[np.uint8] | None:
        """Return the packed allowed classes of one map, or None when everything is allowed.

        Parameters
        ----------
        neighborhood
            p(c | N_p(x)), float32 (h·w, K), or None where neighborhood is switched off.
        """
        if neighborhood is None:
            return self._position_bits
        if self.position is None or self._position_bits is None:
            return pack(neighborhood > self.tau)
        if self.rule == "average":
            return pack((neighborhood + self.position) * np.float32(0.5) > self.tau)
        bits = pack(neighborhood > self.tau) & self._position_bits
        # The two may agree on nothing; position then decides alone, since a map cannot hold infinity.
        return np.where(bits.any(axis=1, keepdims=True), bits, self._position_bits)
