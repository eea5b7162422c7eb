"""Train a refiner on maps of images left out, and fix the range its inputs are normalised with.

An image whose own features are in the coreset has a quieter map than a new one. A second distribution is
therefore fitted on every other training image; the refiner sees synthetic defects in the images left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.data import Source
from pni_fast.data.spacing import evenly_spaced
from pni_fast.distribution.distribution import Distribution
from pni_fast.distribution.fit import fit_distribution
from pni_fast.refinement import RefinedScorer, RefinementNetwork, RefinementTask, train_shared_refiner
from pni_fast.runtime.copies import on_device
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import stream
from pni_fast.runtime.threads import ordered_map
from pni_fast.scoring.anomaly_map import Upsampler
from pni_fast.scoring.map_range import map_range, normalised

from .extraction import stored_refiner
from .fitted import Fitted

MOST_IMAGES = 64
"""Most images left out that the refiner is trained on, evenly spaced: they are kept in memory."""


@dataclass(frozen=True, eq=False)
class HalfFit:
    """A distribution fitted on every other image, and its maps of the images between them.

    Parameters
    ----------
    images
        Crops of images left out, uint8 (height, width, 3).
    maps
        Their likelihood maps, float32 (height, width).
    span
        Lowest and highest value of those maps: what a refiner sees as 0 and 1.
    task
        What a refiner is trained on.
    """

    images: Sequence[NDArray[np.uint8]]
    maps: Sequence[NDArray[np.float32]]
    span: tuple[float, float]
    task: RefinementTask


def fit_half(
    fitted: Fitted, sources: Sequence[Source], features: NDArray[np.floating[Any]], run: Run
) -> HalfFit:
    """Fit a second distribution on every other image, and compute its maps of the images left out.

    Maps are normalised (section 3.3) so that normal images left out span [0, 1]; defects go beyond. Nothing
    of a test set is used. A single image is not split: it is both fitted on and left out.

    Parameters
    ----------
    fitted
        The model without a refiner; `fitted.config` has the settings of the model to be.
    sources, features
        The training images and their features, (n, h, w, d).
    run
        As for the fit.
    """
    config = fitted.config
    kept, rest = (slice(0, None, 2), slice(1, None, 2)) if len(sources) > 1 else (slice(None), slice(None))
    to_map = Upsampler(fitted.grid, config.geometry.shape, config.sigma)
    # One decision for both: a refiner must not learn from maps of another kind than it will see.
    distribution = fit_distribution(
        features[kept], fitted.config_inside, run, to_map, settled=fitted.distribution
    )
    scorer = replace(fitted, distribution=distribution).likelihood_scorer(run)
    left_out = sources[rest]
    chosen = [left_out[index] for index in evenly_spaced(len(left_out), MOST_IMAGES)]
    reading = stream(chosen, config.geometry, lambda crops: scorer.maps(crops, threads=1), run)
    images, maps = zip(*((item.image, item.result) for item in reading), strict=True)
    low, high = map_range(maps)
    high = max(high, low + 1e-6)

    def anomaly_maps(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        def one_map(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
            return scorer.maps(on_device(crop[None], run.device), threads=1)[0]

        return normalised(np.stack(list(ordered_map(one_map, crops, run.threads))), low, high)

    task = RefinementTask(images, anomaly_maps, detector=_identity(config, distribution))
    return HalfFit(images, maps, (low, high), task)


def with_refiner(fitted: Fitted, half: HalfFit, refiner: RefinementNetwork, run: Run) -> Fitted:
    """Return the model with a refiner, and with the range of its final maps of images left out."""
    stored = stored_refiner(refiner.requires_grad_(False), fitted.config.geometry.shape)
    refined = replace(fitted, refiner=stored, refiner_range=half.span)
    scorer = RefinedScorer(refined.likelihood_scorer(run), stored.fused(run), half.span)
    final = ordered_map(
        lambda pair: scorer.refine(pair[0][None], [pair[1]])[0],
        zip(half.images, half.maps, strict=True),
        run.threads,
    )
    return refined.with_normalization(map_range(final))


def fit_refiner(
    fitted: Fitted,
    sources: Sequence[Source],
    features: NDArray[np.floating[Any]],
    run: Run,
    *,
    checkpoint: Path | None = None,
    weights: Path | None = None,
) -> Fitted:
    """Return the model with a refiner trained for it alone.

    Parameters
    ----------
    fitted, sources, features, run
        As for `fit_half`.
    checkpoint, weights
        As for :func:`pni_fast.refinement.train_refiner`.
    """
    half = fit_half(fitted, sources, features, run)
    refiner = train_shared_refiner(
        [half.task],
        fitted.config.refiner,
        run,
        seed=fitted.config.seed,
        weights=weights,
        checkpoint=checkpoint,
    )
    return with_refiner(fitted, half, refiner, run)


def _identity(config: Config, distribution: Distribution) -> str:
    """Return a digest of a detector: its settings and the vectors it holds, which its images decide."""
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode())
    digest.update(distribution.coreset.tobytes())
    return digest.hexdigest()
