"""Score the test images of a category and hold the outcome against its ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry
from pni_fast.config.choices import INSPECTED, ORIGINAL
from pni_fast.data import Category, Sample, Source, image_size, read_mask
from pni_fast.data.cropping import crop_mask
from pni_fast.errors import DataError
from pni_fast.progress import Progress, silent
from pni_fast.scoring.original import at_original

from .compared import compare
from .metrics import compute_metrics, counted
from .outcome import Evaluation, Result
from .own_threshold import OwnThreshold


class Scored(Protocol):
    """What a model says about one image."""

    @property
    def score(self) -> float:
        """Image score, higher is more defective."""
        ...

    @property
    def anomaly_map(self) -> NDArray[np.float32]:
        """(H, W) anomaly map."""
        ...

    @property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) image as the model saw it."""
        ...


class Detector(Protocol):
    """The part of a fitted model that an evaluation needs."""

    @property
    def geometry(self) -> Geometry:
        """How images and masks are brought to size."""
        ...

    @property
    def normalization_(self) -> tuple[float, float]:
        """Range of the maps of normal images, fixed at fit time."""
        ...

    def predict(self, images: Sequence[Source], /, *, progress: Progress) -> Iterable[Scored]:
        """Score images in order, lazily."""
        ...

    def alike(self, images: Sequence[Source], /) -> Iterable[tuple[str, ...]]:
        """Return for every image the names of training images it was held against; only asked if wanted."""
        ...

    def summary(self) -> dict[str, Any]:
        """Describe the model in plain JSON."""
        ...


def evaluate(
    model: Detector,
    category: Category,
    *,
    compared: int = 0,
    progress: Progress = silent,
    at: str = INSPECTED,
) -> Evaluation:
    """Score every test image of a category and compute the metrics at the size inspected.

    All masks are read and checked before the first image is scored.

    Parameters
    ----------
    model
        A fitted detector (`PNI`).
    category
        The test images and their masks, from `open_category`.
    compared
        How many images a model with context is asked about again, for what it held them against: those it
        gets wrong, then those it calls defective.
    progress
        Told the model's stages, then ``metrics`` and, with `compared`, ``compare``.
    at
        ``"original"``: pixels are counted at each photograph's own size, its mask as it is, its map brought
        to that; what was cut off counts with a map of 0.

    Returns
    -------
    Evaluation
        Metrics, per-image results and notes. Holds every map (float32), image and mask at the size inspected:
        2.1 MB an image at 512×512; while it counts at the original size every map and mask at that too.

    Raises
    ------
    DataError
        The category has no test image, an image or a mask cannot be read, or a mask has another size than its
        image.
    """
    if not category.test:
        raise DataError(f"{category.root}: must hold test images, got none")
    masks = [_cropped_mask(model.geometry, sample) for sample in category.test]
    predictions = model.predict(
        [Source(sample.name, sample.path) for sample in category.test], progress=progress
    )
    results = [
        Result(sample, float(found.score), found.anomaly_map, found.image, _known_mask(mask, sample, found))
        for sample, mask, found in zip(category.test, masks, predictions, strict=True)
    ]
    progress("metrics", 0, 1)
    metrics = compute_metrics(
        [result.defective for result in results],
        [result.score for result in results],
        *_counted_at(at, model.geometry, results),
    )
    progress("metrics", 1, 1)
    low, high = model.normalization_
    notes = [*metrics.notes, *_crop_notes(results), *_unclaimed_notes(category)]
    described = model.summary()
    own = OwnThreshold.of(results, described.get("decision"))
    threshold = metrics.image_threshold if own is None else own.threshold
    noticed = _noticed(results, threshold, itself=own is None)[:compared]
    asked = [Source(one.name, one.sample.path) for one in noticed]
    alike = compare(model, asked, category, progress) if noticed else {}
    return Evaluation(category.name, metrics, results, notes, (float(low), float(high)), described, alike, at)


def _counted_at(
    at: str, geometry: Geometry, results: Sequence[Result]
) -> tuple[list[NDArray[np.bool_] | None], list[NDArray[np.float32]]]:
    """Return the masks and the maps that pixels are counted in."""
    if at != ORIGINAL:
        return [result.mask for result in results], [result.anomaly_map for result in results]
    sizes = [image_size(result.sample.path) for result in results]
    masks = [
        None if result.sample.mask is None or not result.defective else read_mask(result.sample.mask, size)
        for result, size in zip(results, sizes, strict=True)
    ]
    maps = [
        at_original(result.anomaly_map, geometry, size) for result, size in zip(results, sizes, strict=True)
    ]
    return masks, maps


def _noticed(results: list[Result], threshold: float | None, *, itself: bool) -> list[Result]:
    """Return mistakes at the threshold, the clearest first, then what is rightly called defective.

    Without a threshold all come, the highest score first. The threshold itself is a defective image's score
    where it is that of the best F1, a good one's where it is the model's own: `itself` says which.
    """
    if threshold is None:
        return sorted(results, key=lambda one: -one.score)
    called = [one.score > threshold or (itself and one.score == threshold) for one in results]
    wrong = [one for one, defective in zip(results, called, strict=True) if defective is not one.defective]
    found = [one for one, defective in zip(results, called, strict=True) if defective and one.defective]
    return [
        *sorted(wrong, key=lambda one: -abs(one.score - threshold)),
        *sorted(found, key=lambda one: one.score),
    ]


def _cropped_mask(geometry: Geometry, sample: Sample) -> NDArray[np.bool_] | None:
    if sample.mask is None:
        return None
    return crop_mask(read_mask(sample.mask, image_size(sample.path)), geometry)


def _known_mask(mask: NDArray[np.bool_] | None, sample: Sample, found: Scored) -> NDArray[np.bool_] | None:
    if sample.defect is None:
        return np.zeros(found.anomaly_map.shape, dtype=np.bool_)
    return mask


def _unclaimed_notes(category: Category) -> list[str]:
    if not category.unclaimed:
        return []
    first = category.unclaimed[0].relative_to(category.root).as_posix()
    return [
        f"{counted(len(category.unclaimed), 'mask file')} of no test image left out: the first is {first}."
    ]


def _crop_notes(results: list[Result]) -> list[str]:
    hidden = [r.name for r in results if r.defective and r.mask is not None and not r.mask.any()]
    if not hidden:
        return []
    shown = ", ".join(hidden[:3]) + (", …" if len(hidden) > 3 else "")
    return [f"No marked pixel lies inside the crop of {counted(len(hidden), 'defective image')}: {shown}."]
