"""What metrics are computed from, checked: every argument is refused in one line that names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Masks: TypeAlias = Sequence[NDArray[np.bool_] | None]
Maps: TypeAlias = Sequence[NDArray[np.floating[Any]]]


def checked(
    labels: ArrayLike, scores: ArrayLike, masks: Masks, maps: Maps
) -> tuple[NDArray[np.bool_], NDArray[np.float64], Masks, Maps]:
    """Return labels and masks as bool, scores as float64, and the maps.

    Parameters
    ----------
    labels, scores, masks, maps
        As for :func:`pni_fast.metrics.compute_metrics`.

    Raises
    ------
    ValueError, TypeError
        As it says there.
    """
    truth, values = _truth(labels), _numbers(scores)
    for name, given in (("masks", masks), ("maps", maps)):
        if not (hasattr(given, "__len__") and hasattr(given, "__getitem__")):
            raise TypeError(f"{name} must be a list of arrays or one array of them, got {_kind(given)}")
    counts = (truth.shape, values.shape, (len(masks),), (len(maps),))
    if len(set(counts)) != 1:
        raise ValueError(
            "labels, scores, masks and maps must be one-dimensional and equally long, got "
            f"{counts[0]}, {counts[1]}, {counts[2]} and {counts[3]}"
        )
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"scores must be finite, got {values[row]} for image {row}")
    known: list[NDArray[np.bool_] | None] = []
    for index, (anomaly_map, mask) in enumerate(zip(maps, masks, strict=True)):
        _check_map(anomaly_map, index)
        known.append(None if mask is None else _mask(mask, index, anomaly_map.shape, good=not truth[index]))
    return truth, values, known, maps


def _truth(labels: ArrayLike) -> NDArray[np.bool_]:
    """Return labels as bool; truth by Python's own rule would call "0", NaN and −1 defective."""
    given = np.asanyarray(labels)
    _refuse_masked(given, "labels")
    if given.dtype.kind == "b":
        return np.asarray(given)
    plain = given if given.dtype.kind in "iufO" else given.astype(object)
    for value in [] if _zeros_and_ones(plain) else plain.ravel().tolist():
        if isinstance(value, str) or value not in (0, 1):
            raise ValueError(f"labels must be True or 1 for defective images, False or 0, got {value!r:.80}")
    return np.asarray(plain).astype(bool)


def _numbers(scores: ArrayLike) -> NDArray[np.float64]:
    given = np.asanyarray(scores)
    _refuse_masked(given, "scores")
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"scores must be numbers, got {_kind(scores)} {scores!r:.80}") from None


def _check_map(anomaly_map: object, index: int) -> None:
    if not isinstance(anomaly_map, np.ndarray) or anomaly_map.dtype.kind not in "fiub":
        raise TypeError(f"map {index} must be an array (h, w) of floats, got {_kind(anomaly_map)}")
    _refuse_masked(anomaly_map, f"map {index}")
    if anomaly_map.ndim != 2:
        raise ValueError(f"map {index} must be (h, w), got {anomaly_map.shape}")
    if not np.isfinite(anomaly_map).all():
        raise ValueError(f"maps must be finite, got NaN or infinity in map {index}")


def _mask(mask: object, index: int, shape: tuple[int, ...], *, good: bool) -> NDArray[np.bool_]:
    if not isinstance(mask, np.ndarray) or mask.dtype.kind not in "biuf":
        raise TypeError(f"mask {index} must be a bool array (h, w) or None, got {_kind(mask)}")
    _refuse_masked(mask, f"mask {index}")
    if mask.shape != shape:
        raise ValueError(f"mask {index} must have the shape of its map, {shape}, got {mask.shape}")
    if mask.dtype.kind != "b" and not _zeros_and_ones(mask):
        wrong = mask[(mask != 0) & (mask != 1)][0]
        raise ValueError(f"mask {index} must be bool, or 1 on defects and 0 elsewhere, got {wrong}")
    found = np.asarray(mask, dtype=np.bool_)
    if good and found.any():
        raise ValueError(
            f"mask {index} must be empty, as its image is labelled good, got {int(found.sum())} pixels"
        )
    return found


def _zeros_and_ones(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iuf" and bool(((values == 0) | (values == 1)).all())


def _refuse_masked(values: NDArray[Any], name: str) -> None:
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} must have all values, got {int(np.ma.getmaskarray(values).sum())} that are masked"
        )


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
