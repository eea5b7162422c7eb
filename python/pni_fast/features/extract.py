"""The features of a whole training set: extracted, or read from a store that holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.data.depth import Brightness
from pni_fast.errors import DataError, PniError
from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.feature_room import allocate_features, bytes_of, described_room
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken, Streamed, stream

from .kept import Keeping
from .stored import Extract

Streaming = Callable[[Sequence[Source], "OnBroken | None"], Iterator[Streamed[NDArray[np.float32]]]]
"""Sources in, each readable one's features out, in order; of the crop no more than its highest value."""


def extract_features(
    extract: Extract,
    sources: Sequence[Source],
    geometry: Geometry,
    run: Run,
    on_broken: OnBroken | None = None,
    *,
    dtype: str = "float32",
    keeping: Keeping | None = None,
    streaming: Streaming | None = None,
) -> tuple[list[Source], NDArray[np.floating[Any]]]:
    """Return the readable sources and their features, (n, h, w, d), in memory or mapped from disk.

    Parameters
    ----------
    extract
        Takes crops on `run.device`.
    sources, geometry, on_broken
        As for :func:`pni_fast.runtime.stream.stream`.
    run
        Told the stage "features", and before it where they go and how many bytes they are.
    dtype
        ``"float16"``: they are narrowed, each number to the nearest that this type has.
    keeping
        A store: what it holds is not extracted, and the rest is added to it. The features are then for
        reading only, and of the type of the store.
    streaming
        What is asked for features in place of `extract` in this process.

    Raises
    ------
    DataError
        An image cannot be read and `on_broken` is None, or none can.
    PniError
        The features have no room, do not fit the type, or the store is of others.
    """

    def extracted(crops: Values) -> list[NDArray[np.float32]]:
        return list(to_host(extract(crops))[0])

    def each(chosen: Sequence[Source], told: OnBroken | None) -> Iterator[tuple[Source, NDArray[Any]]]:
        brightness = Brightness()
        if streaming is None:
            items = stream(chosen, geometry, extracted, run, on_broken=told)
        else:
            items = streaming(chosen, told)
        for done, item in enumerate(items, 1):
            yield item.source, narrowed(item.result, dtype, item.source.name)
            brightness.add(item.image)
            run.progress("features", done, len(chosen))
        brightness.check(geometry.depth)

    if keeping is not None:
        return keeping.features(sources, each, run, on_broken)
    features: NDArray[Any] | None = None
    read: list[Source] = []
    for source, found in each(sources, on_broken):
        if features is None:
            shape = (len(sources), *found.shape)
            run.tell(described_room(bytes_of(shape, dtype)))
            features = allocate_features(shape, dtype)
        features[len(read)] = found
        read.append(source)
    if features is None:
        raise DataError(f"none of the {len(sources)} images could be read")
    return read, features[: len(read)]


def narrowed(features: NDArray[np.float32], dtype: str, name: str) -> NDArray[Any]:
    """Return features in the type they are kept in.

    Raises
    ------
    PniError
        One is beyond the type; the message names the image.
    """
    if dtype == features.dtype:
        return features
    most = float(np.abs(features).max())
    limit = float(np.finfo(np.dtype(dtype)).max)
    if most > limit:
        raise PniError(
            f"image {name}: has a feature of {most:.6g}, feature_dtype {dtype} holds up to {limit:.6g}; "
            "take feature_dtype float32"
        )
    return features.astype(dtype)
