"""What context knows a training set by, and the context of it, whole or without some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import ContextConfig

from .bank import Bank, Rest
from .context import Context, covering


@dataclass(frozen=True, eq=False)
class Described:
    """A training set as context sees it.

    Parameters
    ----------
    bank
        The training set.
    images
        k: how many alike images count.
    descriptors
        (n, d) float32, one an image.
    kept
        Numbers of the images whose labels count.
    """

    bank: Bank
    images: int
    descriptors: NDArray[np.float32]
    kept: NDArray[np.int64]

    @classmethod
    def of(cls, bank: Bank, config: ContextConfig, threads: int) -> Described:
        """Describe every image of a bank, and choose those that cover all."""
        descriptors = bank.features.described(threads)
        return cls(bank, config.images, descriptors, covering(descriptors, bank.area, config.most, threads))

    def whole(self, names: Sequence[str] = ()) -> Context:
        """Return the context of all images, which `names` calls by theirs."""
        return self._context(self.bank.labels[self.kept], self.descriptors, self.kept, names)

    def without(self, rest: Rest) -> Context:
        """Return the context of the images that are left."""
        kept = np.flatnonzero(np.isin(rest.kept, self.kept))
        return self._context(rest.labels_of(rest.kept[kept]), self.descriptors[rest.kept], kept)

    def _context(
        self,
        labels: NDArray[np.int64],
        descriptors: NDArray[np.float32],
        kept: NDArray[np.int64],
        names: Sequence[str] = (),
    ) -> Context:
        return Context.of(
            labels,
            descriptors,
            kept=kept,
            images=self.images,
            window=self.bank.window,
            n_classes=self.bank.n_classes,
            names=tuple(names),
        )
