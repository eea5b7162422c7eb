"""The features of a whole training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.data.depth import Brightness
from pni_fast.errors import DataError
from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.feature_store import allocate_features
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken, stream

from .stored import Extract


def extract_features(
    extract: Extract,
    sources: Sequence[Source],
    geometry: Geometry,
    run: Run,
    on_broken: OnBroken | None = None,
) -> tuple[list[Source], NDArray[np.float32]]:
    """Return the readable sources and their features, float32 (n, h, w, d), in memory or mapped from disk.

    Parameters
    ----------
    extract
        Takes crops on `run.device`.
    sources, geometry, on_broken
        As for :func:`pni_fast.runtime.stream.stream`.
    run
        Told the stage "features".

    Raises
    ------
    DataError
        An image cannot be read and `on_broken` is None, or none can.
    """

    def extracted(crops: Values) -> list[NDArray[np.float32]]:
        return list(to_host(extract(crops))[0])

    brightness = Brightness()
    store: NDArray[np.float32] | None = None
    read: list[Source] = []
    for item in stream(sources, geometry, extracted, run, on_broken=on_broken):
        if store is None:
            store = allocate_features((len(sources), *item.result.shape))
        store[len(read)] = item.result
        read.append(item.source)
        brightness.add(item.image)
        run.progress("features", len(read), len(sources))
    if store is None:
        raise DataError(f"none of the {len(sources)} images could be read")
    brightness.check(geometry.depth)
    return read, store[: len(read)]
