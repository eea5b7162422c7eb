"""The features of one member of a fit: made here or by workers, in this process or where the workers are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.data import Source
from pni_fast.data.digests import Digests
from pni_fast.data.inspected import Inspected
from pni_fast.distribution.features import Features
from pni_fast.features.extract import extract_features
from pni_fast.features.kept import Keeping
from pni_fast.features.stored import Extract, StoredExtractor
from pni_fast.runtime.feature_room import writable
from pni_fast.runtime.feature_store import FeatureStore
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken

from .feature_settings import feature_settings
from .spread import Spread


@contextlib.contextmanager
def features_for(
    sources: Sequence[Source],
    config: Config,
    weights: Path | None,
    run: Run,
    extractor: StoredExtractor,
    extract: Extract,
    *,
    on_broken: OnBroken | None,
    roi: NDArray[np.bool_] | None,
    store: Path | None,
    digests: Digests,
    spread: Spread | None,
) -> Iterator[tuple[list[Source], NDArray[np.floating[Any]] | Features]]:
    """Give the sources that could be read and their features, until the fit is done with them.

    They stay with the workers of `spread` where that can be: a store has them in one place, and so have
    networks that are trained on all of them.
    """
    if spread is not None and store is None and not (config.neighborhood or config.refinement):
        with spread.kept(sources, config, weights, run, on_broken=on_broken, roi=roi) as kept:
            yield kept
        return
    keeping = None
    if store is not None:
        own = FeatureStore(store, feature_settings(extractor, config, run), config.feature_dtype)
        keeping = Keeping(own, digests)
    read, features = extract_features(
        *(extract, sources, config.geometry, run, on_broken),
        dtype=config.feature_dtype,
        keeping=keeping,
        streaming=None if spread is None else spread.streaming(config, weights, run),
    )
    if roi is not None:
        features = writable(features)
        Inspected(roi, (features.shape[1], features.shape[2])).fill(features)
    yield read, features
