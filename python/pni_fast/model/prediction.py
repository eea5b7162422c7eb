"""What a model says of images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.data import ImagesLike, Source, prediction_sources
from pni_fast.data.depth import Brightness
from pni_fast.data.sizes import alike, size_of
from pni_fast.data.sources import keeps_its_items
from pni_fast.decision import Decision
from pni_fast.progress import Progress
from pni_fast.runtime.run import Run
from pni_fast.scoring.image_maps import stream_maps

from .ensemble import FittedModel

if TYPE_CHECKING:
    from pni_fast.features.extract import Streaming


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one image; like arrays, two are the same where they are one object.

    Parameters
    ----------
    name
        File name, path relative to the folder given, or position in the iterable.
    path
        The file, None for images handed over in memory.
    score
        Anomaly score of the image: the maximum of its map, or the mean of its largest values where the
        setting `image_score` says so.
    anomaly_map
        float32 (H, W), distance to the nearest normal patch that position and surroundings allow; of an
        ensemble the mean of its members' maps, each normalised so that normal images span [0, 1].
    image
        uint8 (H, W, 3), the part of the image that the map covers.
    p_value
        How likely a good image scores at least as much, by the good images that the model keeps the scores
        of; None where it keeps none.
    is_defective
        Whether the score is above the model's threshold; None where it has none.
    """

    name: str
    path: Path | None
    score: float
    anomaly_map: NDArray[np.float32]
    image: NDArray[np.uint8]
    p_value: float | None = None
    is_defective: bool | None = None


def image_score(anomaly_map: NDArray[np.float32], share: float) -> float:
    """Return the score of an image.

    Parameters
    ----------
    anomaly_map
        (h, w).
    share
        0: the maximum; otherwise the mean of this share of the pixels, at least one, the largest of them.
    """
    if share == 0:
        return float(anomaly_map.max())
    count = max(1, round(share * anomaly_map.size))
    largest = np.partition(anomaly_map, -count, axis=None)[-count:]
    # Exact, since the order that a partition leaves is not the same on every machine.
    return math.fsum(largest.tolist()) / count


def predictions(
    fitted: FittedModel,
    images: ImagesLike,
    run: Run,
    skipped: list[tuple[str, str]],
    *,
    skip_broken: bool,
    progress: Progress,
    streaming: Streaming | None = None,
) -> Iterator[Prediction]:
    """Yield a prediction for every image, in order, reading as it goes.

    Parameters
    ----------
    fitted, run
        The model, and how it computes.
    images, skip_broken, progress
        As for :meth:`pni_fast.PNI.predict`.
    skipped
        Images left out, and why, are added here.
    streaming
        Gives the maps of sources in place of this process; all images are listed before the first goes out.
    """
    config, decision = fitted.config, fitted.decision or Decision()
    sources: Iterable[Source] = prediction_sources(images)
    if streaming is not None or keeps_its_items(images):
        sources = known = list(sources)
        total, ahead = len(known), True
    else:
        ahead = isinstance(images, Sized)
        total = len(images) if isinstance(images, Sized) else 0

    def skip(name: str, reason: str) -> None:
        skipped.append((name, reason))

    on_broken = skip if skip_broken else None
    brightness, size = Brightness(), fitted.members[0].image_size
    partly = fitted.members[0].roi is not None
    asked = size is not None and (partly or config.geometry.whole)
    if streaming is None:
        scorer = fitted.scorer(run)
        results = stream_maps(scorer, sources, config.geometry, run, on_broken=on_broken, ahead=ahead)
    else:
        results = streaming(list(sources), on_broken)
    for done, item in enumerate(results, 1):
        brightness.add(item.image)
        if asked and size is not None and size != (own := size_of(item.source)):
            said = f"{item.source.name}: {own[0]}×{own[1]} pixels, the images fitted on had another"
            if partly:
                asked = False  # once is enough
                warnings.warn(
                    f"{said} size, {size[0]}×{size[1]}: what is inspected may lie elsewhere in it",
                    stacklevel=2,
                )
            elif not alike(size, own):
                asked = False
                warnings.warn(
                    f"{said} aspect ratio, {size[0]}×{size[1]}: it is stretched to that", stacklevel=2
                )
        score = image_score(item.result, config.image_score)
        yield Prediction(
            *(item.source.name, item.source.path, score, item.result, item.image),
            p_value=decision.p_value(score),
            is_defective=decision.is_defective(score),
        )
        progress("score", done + len(skipped), total)
    brightness.check(config.geometry.depth)
