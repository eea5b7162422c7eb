"""The fit, start to end: images → features → coreset → labels → histogram and MLP → map range."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .backbone import build_extractor, load_weights
from .errors import DataError
from .feature_store import allocate_features
from .features import FeatureExtractor
from .geometry import Geometry
from .kernels import greedy_coreset, nearest, position_histogram
from .neighborhood_training import train_neighborhood
from .parallel import ordered_map
from .presets import Config
from .progress import Progress, silent
from .sources import Source
from .state import Fitted
from .stream import Broken, stream

RANGE_IMAGES = 32
"""Normal images, evenly spaced over the training set, whose maps fix the normalisation."""


def fit(
    sources: Sequence[Source],
    config: Config,
    weights: Path | None,
    *,
    device: torch.device,
    num_threads: int,
    on_broken: Broken | None,
    progress: Progress = silent,
) -> Fitted:
    """Fit a model on normal images; see :meth:`pni_fast.PNI.fit`."""
    extractor = build_extractor(config.backbone, config.patch, config.dimension)
    weights_source = load_weights(extractor.backbone, config.backbone, weights)
    extractor.to(device)
    features = _extract(extractor, sources, config, device, num_threads, on_broken, progress)
    count, height, width, dimension = features.shape
    rows = features.reshape(-1, dimension)

    size = max(int(len(rows) * config.coreset_ratio), 1)
    n_classes = min(config.distribution_size, size)
    coreset = greedy_coreset(
        rows,
        size,
        assign=n_classes,
        num_threads=num_threads,
        progress=lambda done, total: progress("coreset", done, total),
    )
    assert coreset.labels is not None  # asked for with `assign`
    vectors = rows[coreset.indices]
    groups, _ = nearest(vectors, vectors[:n_classes], num_threads=num_threads)
    labels = coreset.labels.reshape(count, height, width)

    position = neighborhood = None
    if config.position:
        position = position_histogram(
            labels, n_classes, patch=config.neighborhood_size, num_threads=num_threads
        )
    if config.neighborhood:
        neighborhood = train_neighborhood(
            features,
            labels,
            n_classes,
            config.neighborhood_size,
            config.mlp,
            device=device,
            seed=config.seed,
            workers=num_threads,
            progress=progress,
        )
    fitted = Fitted(
        config,
        weights_source,
        extractor,
        (height, width),
        vectors,
        groups,
        position,
        neighborhood,
        (0.0, 1.0),
        count,
    )
    return fitted.with_normalization(_map_range(fitted, features, device, num_threads))


def _extract(
    extractor: FeatureExtractor,
    sources: Sequence[Source],
    config: Config,
    device: torch.device,
    workers: int,
    on_broken: Broken | None,
    progress: Progress,
) -> NDArray[np.float32]:
    """Return the features of all readable images, (n, h, w, d), in memory or mapped from disk."""
    results = stream(
        sources,
        Geometry(config.resize, config.crop),
        lambda crops: list(extractor(crops).cpu().numpy()),
        device=device,
        workers=workers,
        on_broken=on_broken,
    )
    store: NDArray[np.float32] | None = None
    count = 0
    for item in results:
        if store is None:
            store = allocate_features((len(sources), *item.result.shape))
        store[count] = item.result
        count += 1
        progress("features", count, len(sources))
    if store is None:
        raise DataError(f"none of the {len(sources)} images could be read")
    return store[:count]


def _map_range(
    fitted: Fitted, features: NDArray[np.float32], device: torch.device, workers: int
) -> tuple[float, float]:
    """Return the lowest and highest value of the anomaly maps of some training images."""
    scorer = fitted.scorer(device)
    chosen = np.unique(np.linspace(0, len(features) - 1, RANGE_IMAGES).astype(int))

    def extremes(index: int) -> tuple[float, float]:
        batch = torch.from_numpy(features[index : index + 1]).to(device)
        anomaly_map = scorer.feature_maps(batch, num_threads=1)[0]
        return float(anomaly_map.min()), float(anomaly_map.max())

    lows, highs = zip(*ordered_map(extremes, (int(index) for index in chosen), workers), strict=True)
    return min(lows), max(highs)
