"""Combine position and neighborhood: classes allowed at each patch, or what each class costs there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR = np.float32(1e-12)
"""Least probability whose logarithm is taken: penalties stay finite where a softmax underflows."""


def pack(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return (n, K) booleans as (n, ceil(K/8)) bytes, lowest bit first."""
    return np.packbits(allowed, axis=1, bitorder="little")


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
    """

    def __init__(self, position: NDArray[np.float32] | None, tau: float, rule: str) -> None:
        self.position = position
        self.tau = np.float32(tau)
        self.rule = rule
        thresholds = position is not None and rule != "penalty"
        self._position_bits = pack(position > self.tau) if position is not None and thresholds else None
        self._position_penalty = None if position is None or thresholds else _surprise(position)

    def allowed(self, neighborhood: NDArray[np.float32] | None) -> list[NDArray[np.uint8] | None]:
        """Return the packed allowed classes of one map, None where everything is allowed.

        One entry, or two with the rule ``"scores"``: the scores found under each are to be averaged.

        Parameters
        ----------
        neighborhood
            p(c | N_p(x)), float32 (h·w, K), or None where neighborhood is switched off.
        """
        if neighborhood is None:
            return [self._position_bits]
        if self.position is None or self._position_bits is None:
            return [pack(neighborhood > self.tau)]
        if self.rule == "average":
            return [pack((neighborhood + self.position) * np.float32(0.5) > self.tau)]
        alone = pack(neighborhood > self.tau)
        if self.rule == "scores":
            return [self._position_bits, alone]
        bits = alone & self._position_bits
        # The two may agree on nothing; position then decides alone, since a map cannot hold infinity.
        return [np.where(bits.any(axis=1, keepdims=True), bits, self._position_bits)]

    def penalty(self, neighborhood: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        """Return −log p(c | Ω), float32 (h·w, K), natural logarithm; None where nothing is known.

        Parameters
        ----------
        neighborhood
            As for :meth:`allowed`. With both conditions p(c|Ω) is their mean, equation (6).
        """
        if neighborhood is None:
            return self._position_penalty
        if self.position is None:
            return _surprise(neighborhood)
        return _surprise((neighborhood + self.position) * np.float32(0.5))


def _surprise(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    surprise: NDArray[np.float32] = -np.log(np.maximum(probability, FLOOR))
    return surprise
