"""How well defective images and pixels are told from good ones: AUROC, F1max, AUPRO.

Everything at pixel level follows from one sort of the scores of normal pixels and the rank of every defective
pixel among them, exactly: no threshold is sampled and ties count half. For 200 maps of 480×480 this takes 4 s
and 0.6 GB, where scikit-learn's curves, which give the same numbers, need 37 s and 3 GB for AUROC alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pni_fast.kernels.ranking import f1_max, ranks

from .arguments import checked

FPR_LIMIT = 0.3
"""Largest false positive rate up to which AUPRO integrates (MVTec AD's choice)."""


@dataclass(frozen=True)
class Metrics:
    """Figures of one test set; None where the test set cannot say (`notes` tells why).

    Attributes
    ----------
    image_auroc, pixel_auroc
        Area under the ROC curve over images, and over all pixels of the test set.
    image_f1_max, pixel_f1_max
        The largest F1 score that any threshold reaches.
    aupro
        Area under the per-region overlap curve up to a false positive rate of 0.3, divided by 0.3.
    image_threshold, pixel_threshold
        The threshold of F1max: defective is what scores at least as much. Of equals the highest.
    notes
        What had to be left out, in sentences.
    """

    image_auroc: float | None
    image_f1_max: float | None
    pixel_auroc: float | None
    pixel_f1_max: float | None
    aupro: float | None
    image_threshold: float | None = None
    pixel_threshold: float | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return every field under its name, ready for JSON."""
        return {**asdict(self), "notes": list(self.notes)}


def compute_metrics(
    labels: ArrayLike,
    scores: ArrayLike,
    masks: Sequence[NDArray[np.bool_] | None],
    maps: Sequence[NDArray[np.floating[Any]]],
) -> Metrics:
    """Compute all five figures of a test set.

    Parameters
    ----------
    labels
        (n,) True or 1 for defective images, False or 0 for good ones.
    scores
        (n,) image scores, higher is more defective.
    masks
        n ground-truth masks, (h, w) bool or numbers 0 and 1, true on defects. None for a good image means
        that nothing is defective; for a defective image it means unknown, and its pixels are left out.
    maps
        n anomaly maps, (h, w) floating point, each of the shape of its mask.

    Returns
    -------
    Metrics
        The figures, the thresholds of F1max, and notes on what they leave out.

    Raises
    ------
    ValueError
        The numbers of labels, scores, masks and maps differ, a label or a mask is neither true nor false, a
        map is not (h, w), a mask has another shape than its map, a good image has a mask that marks pixels,
        a score or map holds NaN or infinity, or something is masked.
    TypeError
        Masks or maps are not sequences of arrays of numbers.
    """
    truth, values, masks, maps = checked(labels, scores, masks, maps)
    notes: list[str] = []
    image_auroc, image_f1, image_threshold = _image_level(truth, values, notes)
    known = [index for index, mask in enumerate(masks) if mask is not None or not truth[index]]
    if len(known) < len(masks):
        missing = len(masks) - len(known)
        notes.append(f"{counted(missing, 'defective image')} without a mask left out of the pixel metrics.")
    normal, defective, weights = _split_pixels(known, masks, maps)
    if len(normal) == 0 or len(defective) == 0:
        lacking = "defective" if len(defective) == 0 else "normal"
        notes.append(f"No pixel metrics: the masks mark no {lacking} pixel.")
        return Metrics(image_auroc, image_f1, None, None, None, image_threshold, None, tuple(notes))
    pixel_f1, pixel_threshold = f1_max(normal, defective)
    equal = np.full(len(defective), 1.0 / len(defective))
    return Metrics(
        image_auroc=image_auroc,
        image_f1_max=image_f1,
        pixel_auroc=_area(normal, defective, equal, 1.0),
        pixel_f1_max=pixel_f1,
        aupro=_area(normal, defective, weights, FPR_LIMIT) / FPR_LIMIT,
        image_threshold=image_threshold,
        pixel_threshold=pixel_threshold,
        notes=tuple(notes),
    )


def _image_level(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], notes: list[str]
) -> tuple[float | None, float | None, float | None]:
    if truth.all() or not truth.any():
        kind = "good" if truth.all() else "defective"
        notes.append(f"No image metrics: the test set has no {kind} image.")
        return None, None, None
    from sklearn.metrics import roc_auc_score

    f1, threshold = f1_max(np.sort(scores[~truth]), np.sort(scores[truth]))
    return float(roc_auc_score(truth, scores)), f1, threshold


def _split_pixels(
    known: list[int], masks: Sequence[NDArray[np.bool_] | None], maps: Sequence[NDArray[np.floating[Any]]]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]], NDArray[np.float64]]:
    """Sort the scores of normal and of defective pixels.

    The third array holds the weight of each defective pixel in the mean overlap over regions: 1 / (number of
    regions × size of its region). A region is 8-connected, as in MVTec's own evaluation code.
    """
    from scipy import ndimage

    total = sum(maps[index].size for index in known)
    normal = np.empty(total, dtype=np.result_type(np.float32, *(maps[index].dtype for index in known)))
    filled, regions = 0, 0
    found: list[NDArray[np.floating[Any]]] = [normal[:0]]
    shares: list[NDArray[np.float64]] = [np.empty(0)]
    for index in known:
        mask = masks[index]
        if mask is None or not mask.any():
            good = maps[index].ravel()
        else:
            good = maps[index][~mask]
            found.append(maps[index][mask])
            numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
            region = numbered[mask]
            shares.append(1.0 / np.bincount(region)[region])
            regions += count
        normal[filled : filled + len(good)] = good
        filled += len(good)
    normal = normal[:filled]
    normal.sort()
    defective, weights = np.concatenate(found), np.concatenate(shares) / max(regions, 1)
    order = np.argsort(defective)
    return normal, defective[order], weights[order]


def _area(
    normal: NDArray[np.floating[Any]],
    defective: NDArray[np.floating[Any]],
    weights: NDArray[np.float64],
    limit: float,
) -> float:
    """Area under the weighted share of defectives found, over false positive rates from 0 to `limit`.

    A defective pixel is found from the rate of normal pixels above it on; where normal pixels tie with it,
    its share rises linearly over the rates they span (the trapezoidal rule at every distinct threshold).
    """
    area = 0.0
    for part, above, at_or_above in ranks(normal, defective):
        start, stop = above / len(normal), at_or_above / len(normal)
        inside = np.clip(limit - start, 0.0, stop - start)
        ramp = np.divide(inside**2, 2.0 * (stop - start), out=np.zeros_like(start), where=stop > start)
        area += float(weights[part] @ (ramp + np.maximum(limit - stop, 0.0)))
    return min(area, limit)  # a sum of many small weights may round above it


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, in the plural but for one."""
    return f"{number} {noun}{'s' if number != 1 else ''}"
