"""Train the refiner on maps of held-out images, and fix the range its inputs are normalised with.

An image whose own features are in the coreset has a quieter map than a new one. A second distribution is
therefore fitted on every other training image; the refiner sees synthetic defects in the images left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from .distribution import fit_distribution
from .parallel import ordered_map
from .progress import Progress, silent
from .refinement import train_refiner
from .sources import Source
from .state import Fitted
from .stream import stream

HELD_OUT = 64
"""Most held-out images the refiner is trained on, evenly spaced: they are kept in memory."""


def fit_refiner(
    fitted: Fitted,
    sources: Sequence[Source],
    features: NDArray[np.float32],
    *,
    device: torch.device,
    num_threads: int,
    progress: Progress = silent,
) -> Fitted:
    """Return the model with a trained refiner.

    Maps are normalised (section 3.3) so that held-out normal images span [0, 1]; defects go
    beyond. Nothing of a test set is used.

    Parameters
    ----------
    fitted
        The model without a refiner.
    sources, features
        The training images and their features, (n, h, w, d).
    device, num_threads, progress
        As for :meth:`pni_fast.PNI.fit`.
    """
    config = fitted.config
    kept, held = (slice(0, None, 2), slice(1, None, 2)) if len(sources) > 1 else (slice(None), slice(None))
    half = replace(
        fitted,
        distribution=fit_distribution(
            features[kept], config, device=device, num_threads=num_threads, progress=progress
        ),
    )
    scorer = half.scorer(device)
    left_out = sources[held]
    chosen = [left_out[index] for index in np.unique(np.linspace(0, len(left_out) - 1, HELD_OUT).astype(int))]
    reading = stream(
        chosen,
        config.geometry,
        lambda crops: scorer.maps(crops, num_threads=1),
        device=device,
        workers=num_threads,
    )
    crops, normal = zip(*((item.image, item.result) for item in reading), strict=True)

    def maps(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        one = lambda image: scorer.maps(torch.from_numpy(image)[None].to(device), num_threads=1)[0]  # noqa: E731
        return np.stack(list(ordered_map(one, images, num_threads)))

    low = float(min(anomaly_map.min() for anomaly_map in normal))
    high = max(float(max(anomaly_map.max() for anomaly_map in normal)), low + 1e-6)
    refiner = train_refiner(
        crops,
        lambda images: (maps(images) - np.float32(low)) / np.float32(high - low),
        config=config.refiner,
        device=device,
        seed=config.seed,
        num_threads=num_threads,
        progress=progress,
    )
    refined = replace(fitted, refiner=refiner.requires_grad_(False), refiner_range=(low, high))
    final = refined.scorer(device)
    lows, highs = zip(
        *ordered_map(
            lambda pair: _extremes(final.refine(pair[0][None], [pair[1]])[0]),
            zip(crops, normal, strict=True),
            num_threads,
        ),
        strict=True,
    )
    return refined.with_normalization((min(lows), max(highs)))


def _extremes(anomaly_map: NDArray[np.float32]) -> tuple[float, float]:
    return float(anomaly_map.min()), float(anomaly_map.max())
