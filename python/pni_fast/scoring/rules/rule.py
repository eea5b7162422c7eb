"""What every rule of combining position and neighborhood has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distribution.distribution import Distribution
from pni_fast.kernels import max_likelihood, nearest
from pni_fast.runtime.copies import Values
from pni_fast.runtime.device import Device


class Rule(ABC):
    """p(c_dist | Ω) of the two conditions, and the search under it.

    A rule says what the search needs of the networks' output (:meth:`evidence`, on their device, one bit a
    class where that is enough), keeps there what position decides alone, and turns evidence into scores
    (:meth:`scores`, on the host). On a CPU all of it is arrays; on a GPU the networks' output and its
    evidence are tensors there.

    Parameters
    ----------
    distribution
        C_emb, its groups, p(c | x) or None where position is not used, λ and τ.
    device
        Where :meth:`evidence` works.
    """

    def __init__(self, distribution: Distribution, device: Device) -> None:
        self.device = device
        self.coreset, self.groups = distribution.coreset, distribution.groups
        self.scale = np.float32(distribution.scale)

    @abstractmethod
    def evidence(self, neighborhood: Values | None) -> list[Values | None]:
        """Return what :meth:`scores` needs of a batch of maps; None holds nothing against any class.

        What has no dimension for the image, (h·w, …), is the same for every map.

        Parameters
        ----------
        neighborhood
            p(c | N_p(x)), float32 (b, h·w, K) on the device, or None where neighborhood is switched off.
        """

    @abstractmethod
    def scores(
        self, rows: NDArray[np.float32], evidence: Sequence[NDArray[Any] | None], threads: int
    ) -> NDArray[np.float32]:
        """Return S(x) of one map, float32 (h·w,).

        Parameters
        ----------
        rows
            Φ, float32 (h·w, d).
        evidence
            Of this map, on the host.
        threads
            CPU threads of the search; the result does not depend on them.
        """

    def scaled(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return λ times the distances."""
        times: NDArray[np.float32] = distances * self.scale
        return times

    def distances(
        self, rows: NDArray[np.float32], allowed: NDArray[np.uint8] | None, threads: int
    ) -> NDArray[np.float32]:
        """Return the distance of each row to the nearest vector of C_emb; of those allowed, where packed."""
        if allowed is None:
            return nearest(rows, self.coreset, num_threads=threads)[1]
        return max_likelihood(rows, self.coreset, self.groups, allowed, num_threads=threads)[0]
