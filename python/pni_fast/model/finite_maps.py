"""Maps that are numbers: a model whose weights are finite, but absurd, gives none, and that is said."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError
from pni_fast.runtime.copies import Values
from pni_fast.scoring.image_maps import Maps
from pni_fast.scoring.scorer import ForEach

REFUSAL = "the model gives no finite scores: its weights are damaged or not meant for images"


class FiniteMaps:
    """What gives maps, and refuses where one is not finite.

    What weights do to a picture shows in the maps alone. Without a digest a file can hold any finite weights,
    and a product of two large ones is infinite.

    Parameters
    ----------
    scorer
        What the maps come from.
    """

    def __init__(self, scorer: Maps) -> None:
        self.scorer = scorer

    def maps(self, crops: Values, threads: int, for_each: ForEach = map) -> list[NDArray[np.float32]]:
        """Return the maps, float32 (H, W) each; arguments as for :meth:`.Scorer.maps`.

        Raises
        ------
        PniError
            A map is not finite.
        """
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                maps = self.scorer.maps(crops, threads, for_each)
        except ValueError as error:  # so the search says it of features
            if isinstance(error, PniError) or "finite" not in str(error):
                raise
            raise PniError(REFUSAL) from error
        if not all(np.isfinite((one.min(), one.max())).all() for one in maps):
            raise PniError(REFUSAL)
        return maps
