"""The fit, start to end: images → features → distribution → refiner → range of normal maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .backbone import build_extractor, load_weights
from .distribution import fit_distribution
from .errors import DataError
from .feature_store import allocate_features
from .features import FeatureExtractor
from .parallel import one_torch_thread, ordered_map
from .presets import Config
from .progress import Progress, silent
from .refiner_fitting import fit_refiner
from .sources import Source
from .state import Fitted
from .stream import Broken, stream

RANGE_IMAGES = 32
"""Normal images, evenly spaced over the training set, whose maps fix the normalisation."""


@one_torch_thread()
def fit(
    sources: Sequence[Source],
    config: Config,
    weights: Path | None,
    *,
    device: torch.device,
    num_threads: int,
    on_broken: Broken | None,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> Fitted:
    """Fit a model on normal images; see :meth:`pni_fast.PNI.fit`."""
    extractor = build_extractor(config.backbone, config.patch, config.dimension)
    weights_source = load_weights(extractor.backbone, config.backbone, weights)
    extractor.to(device)
    read, features = extract_features(
        extractor,
        sources,
        config,
        device=device,
        workers=num_threads,
        on_broken=on_broken,
        progress=progress,
    )
    count, height, width, _ = features.shape
    distribution = fit_distribution(
        features, config, device=device, num_threads=num_threads, progress=progress
    )
    fitted = Fitted(config, weights_source, extractor, (height, width), distribution, count)
    if config.refinement:
        return fit_refiner(
            fitted,
            read,
            features,
            device=device,
            num_threads=num_threads,
            progress=progress,
            checkpoint=checkpoint,
        )
    return fitted.with_normalization(_map_range(fitted, features, device, num_threads))


def extract_features(
    extractor: FeatureExtractor,
    sources: Sequence[Source],
    config: Config,
    *,
    device: torch.device,
    workers: int,
    on_broken: Broken | None,
    progress: Progress,
) -> tuple[list[Source], NDArray[np.float32]]:
    """Return the readable sources and their features, float32 (n, h, w, d), in memory or mapped from disk.

    Raises
    ------
    DataError
        An image cannot be read and `on_broken` is None, or none can.
    """
    results = stream(
        sources,
        config.geometry,
        lambda crops: list(extractor(crops).cpu().numpy()),
        device=device,
        workers=workers,
        on_broken=on_broken,
    )
    store: NDArray[np.float32] | None = None
    read: list[Source] = []
    for item in results:
        if store is None:
            store = allocate_features((len(sources), *item.result.shape))
        store[len(read)] = item.result
        read.append(item.source)
        progress("features", len(read), len(sources))
    if store is None:
        raise DataError(f"none of the {len(sources)} images could be read")
    return read, store[: len(read)]


def _map_range(
    fitted: Fitted, features: NDArray[np.float32], device: torch.device, workers: int
) -> tuple[float, float]:
    """Return the lowest and highest value of the anomaly maps of some training images."""
    scorer = fitted.scorer(device)
    chosen = np.unique(np.linspace(0, len(features) - 1, RANGE_IMAGES).astype(int))

    def extremes(index: int) -> tuple[float, float]:
        batch = torch.from_numpy(features[index : index + 1]).to(device)
        anomaly_map = scorer.likelihood_maps(batch, num_threads=1)[0]
        return float(anomaly_map.min()), float(anomaly_map.max())

    lows, highs = zip(*ordered_map(extremes, (int(index) for index in chosen), workers), strict=True)
    return min(lows), max(highs)
