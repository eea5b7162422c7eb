"""A heat map over the photograph: clear where the part is normal, glowing where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .colours import COLOURS

OPACITY = 0.66
"""How much of the photograph the hottest colour hides."""

CONTOUR = (64, 224, 255)
"""Colour of the ground-truth contour, RGB; not on the heat map's scale of colours."""

_HALO = (8, 20, 28)


def overlay(
    image: NDArray[np.uint8],
    anomaly_map: NDArray[np.floating[Any]],
    low: float,
    high: float,
    mask: NDArray[np.bool_] | None = None,
) -> Image.Image:
    """Lay an anomaly map over its photograph.

    The scale is the caller's, the same for all images of a run, so that colours can be compared between
    images: up to `low` the photograph is untouched, from `high` on the colour is the hottest. Take
    `colour_scale` for a scale made from normal images.

    Parameters
    ----------
    image
        (H, W, 3) uint8, the crop that the map covers.
    anomaly_map
        (H, W) floating point.
    low, high
        Map values where colour sets in and where it is full. Where `high` is not above `low`, everything
        above `low` is hottest.
    mask
        (H, W) bool; its outline is drawn: a ground truth, or ``anomaly_map >= threshold``.

    Returns
    -------
    PIL.Image.Image
        RGB, of the photograph's size.

    Raises
    ------
    ValueError
        Image, map and mask differ in height or width.
    """
    shape = image.shape[:2]
    for name, other in (("anomaly_map", anomaly_map), ("mask", mask)):
        if other is not None and other.shape != shape:
            raise ValueError(
                f"{name} must have the height and width of the image, {shape}, got {other.shape}"
            )
    heat = _heat(anomaly_map, low, high)
    # Opacity rises fast at first: what is above `low` at all must be seen.
    opacity = (OPACITY * np.sqrt(heat))[:, :, None]
    blended = image * (1.0 - opacity) + COLOURS[np.rint(heat * 255).astype(np.intp)] * opacity
    if mask is not None and mask.any():
        _draw_contour(blended, mask)
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def colour_scale(normal_range: tuple[float, float]) -> tuple[float, float]:
    """Colour scale from the map range of normal images: clear up to its end, hottest a range further.

    Parameters
    ----------
    normal_range
        Lowest and highest map value on normal images, as in ``PNI.normalization_``.

    Returns
    -------
    tuple of float
        `low` and `high` of `overlay`.
    """
    lowest, highest = normal_range
    return highest, highest + (highest - lowest)


def scale_css() -> str:
    """CSS gradient of the scale's colours at the opacity they have over a photograph."""
    stops = np.linspace(0, 255, 9).astype(int)
    parts = []
    for stop in stops:
        red, green, blue = (int(value) for value in np.rint(COLOURS[stop]))
        opacity = OPACITY * np.sqrt(stop / 255)
        parts.append(f"rgb({red} {green} {blue} / {opacity:.2f}) {stop / 255:.1%}")
    return f"linear-gradient(90deg, {', '.join(parts)})"


def _heat(anomaly_map: NDArray[np.floating[Any]], low: float, high: float) -> NDArray[np.float64]:
    values = np.asarray(anomaly_map, dtype=np.float64)
    if high <= low:
        return (values > low).astype(np.float64)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _draw_contour(picture: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
    """Draw a bright line around `mask` and a dark one around that; no marked pixel is painted over.

    The width follows the picture's size, so that the line survives being shown at half of it.
    """
    width = max(1, round(max(mask.shape) / 200))
    inside = mask
    for colour, reach in ((CONTOUR, width), (_HALO, 1)):
        around = _grown(inside, reach)
        picture[around & ~inside] = colour
        inside = around


def _grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return a mask with all that is `reach` steps away at most, a step going up, down, left or right."""
    for _ in range(reach):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask
