"""Train a refiner on maps of held-out images, and fix the range its inputs are normalised with.

An image whose own features are in the coreset has a quieter map than a new one. A second distribution is
therefore fitted on every other training image; the refiner sees synthetic defects in the images left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .distribution import Distribution, fit_distribution
from .parallel import ordered_map
from .precision import FLOAT32, Precision
from .presets import Config
from .progress import Progress, silent
from .refinement import RefinementNetwork, RefinementTask, train_shared_refiner
from .scorer import Scorer
from .sources import Source
from .state import Fitted
from .stream import stream

HELD_OUT = 64
"""Most held-out images the refiner is trained on, evenly spaced: they are kept in memory."""


@dataclass(frozen=True)
class HeldOut:
    """Images that a distribution was not fitted on, and its maps of them.

    Parameters
    ----------
    scorer
        The pipeline of the distribution fitted on the other images.
    images
        Crops, uint8 (crop, crop, 3).
    maps
        Their likelihood maps, float32 (crop, crop).
    span
        Lowest and highest value of those maps: what a refiner sees as 0 and 1.
    task
        What a refiner is trained on.
    """

    scorer: Scorer
    images: Sequence[NDArray[np.uint8]]
    maps: Sequence[NDArray[np.float32]]
    span: tuple[float, float]
    task: RefinementTask


def hold_out(
    fitted: Fitted,
    sources: Sequence[Source],
    features: NDArray[np.float32],
    *,
    device: torch.device,
    num_threads: int,
    progress: Progress = silent,
    precision: Precision = FLOAT32,
) -> HeldOut:
    """Fit a second distribution on every other image, and compute its maps of the images left out.

    Maps are normalised (section 3.3) so that held-out normal images span [0, 1]; defects go beyond. Nothing
    of a test set is used. A single image is not split: it is both fitted on and held out.

    Parameters
    ----------
    fitted
        The model without a refiner; `fitted.config` has the settings of the model to be.
    sources, features
        The training images and their features, (n, h, w, d).
    device, num_threads, progress, precision
        As for :meth:`pni_fast.PNI.fit`.
    """
    config = fitted.config
    # One decision for both: a refiner must not learn from maps of another kind than it will see.
    settled = replace(config, position=fitted.distribution.position is not None, position_gate=False)
    kept, held = (slice(0, None, 2), slice(1, None, 2)) if len(sources) > 1 else (slice(None), slice(None))
    distribution = fit_distribution(
        features[kept],
        settled,
        device=device,
        num_threads=num_threads,
        progress=progress,
        precision=precision,
    )
    scorer = replace(fitted, distribution=distribution, refiner=None).scorer(device, precision)
    left_out = sources[held]
    chosen = [left_out[index] for index in np.unique(np.linspace(0, len(left_out) - 1, HELD_OUT).astype(int))]
    reading = stream(
        chosen,
        config.geometry,
        lambda crops: scorer.maps(crops, num_threads=1),
        device=device,
        workers=num_threads,
    )
    images, maps = zip(*((item.image, item.result) for item in reading), strict=True)
    low = float(min(anomaly_map.min() for anomaly_map in maps))
    high = max(float(max(anomaly_map.max() for anomaly_map in maps)), low + 1e-6)

    def normalised(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        one = lambda crop: scorer.maps(torch.from_numpy(crop)[None].to(device), num_threads=1)[0]  # noqa: E731
        found = np.stack(list(ordered_map(one, crops, num_threads)))
        scaled: NDArray[np.float32] = (found - np.float32(low)) / np.float32(high - low)
        return scaled

    task = RefinementTask(images, normalised, detector=_identity(config, distribution))
    return HeldOut(scorer, images, maps, (low, high), task)


def with_refiner(
    fitted: Fitted,
    held: HeldOut,
    refiner: RefinementNetwork,
    num_threads: int,
    precision: Precision = FLOAT32,
) -> Fitted:
    """Return the model with a refiner, and with the range of its final maps on held-out normal images."""
    refined = replace(fitted, refiner=refiner.requires_grad_(False), refiner_range=held.span)
    final = refined.scorer(refiner.mean.device, precision)
    lows, highs = zip(
        *ordered_map(
            lambda pair: _extremes(final.refine(pair[0][None], [pair[1]])[0]),
            zip(held.images, held.maps, strict=True),
            num_threads,
        ),
        strict=True,
    )
    return refined.with_normalization((min(lows), max(highs)))


def fit_refiner(
    fitted: Fitted,
    sources: Sequence[Source],
    features: NDArray[np.float32],
    *,
    device: torch.device,
    num_threads: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    precision: Precision = FLOAT32,
    weights: Path | None = None,
) -> Fitted:
    """Return the model with a refiner trained for it alone.

    Parameters
    ----------
    fitted, sources, features, device, num_threads, progress, precision
        As for `hold_out`.
    checkpoint, weights
        As for :func:`pni_fast.refinement.train_refiner`.
    """
    held = hold_out(
        fitted,
        sources,
        features,
        device=device,
        num_threads=num_threads,
        progress=progress,
        precision=precision,
    )
    refiner = train_shared_refiner(
        [held.task],
        config=fitted.config.refiner,
        device=device,
        seed=fitted.config.seed,
        weights=weights,
        num_threads=num_threads,
        progress=progress,
        checkpoint=checkpoint,
        precision=precision,
    )
    return with_refiner(fitted, held, refiner, num_threads, precision)


def _identity(config: Config, distribution: Distribution) -> str:
    """Return a digest of a detector: its settings and the vectors it holds, which its images decide."""
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode())
    digest.update(distribution.coreset.tobytes())
    return digest.hexdigest()


def _extremes(anomaly_map: NDArray[np.float32]) -> tuple[float, float]:
    return float(anomaly_map.min()), float(anomaly_map.max())
