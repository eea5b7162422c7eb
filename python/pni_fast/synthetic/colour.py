"""Small changes of colour, as CutPaste's jitter and the online augmentation use them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def jitter(pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue by up to `strength` each.

    Parameters
    ----------
    pixels
        uint8 RGB, any shape ending in 3.
    strength
        Largest relative change of brightness, contrast and saturation; hue turns by up to `strength` of half
        a circle (CutPaste uses 0.1).
    rng
        Source of the four amounts.

    Returns
    -------
    NDArray[np.uint8]
        The changed pixels, same shape.
    """
    brightness, contrast, saturation = 1.0 + rng.uniform(-strength, strength, 3)
    turn = rng.uniform(-strength, strength) * np.pi
    values = pixels.astype(np.float32) * np.float32(brightness)
    luma = (values @ _LUMA)[..., None]
    grey = luma.mean()
    values = grey + (luma + (values - luma) * np.float32(saturation) - grey) * np.float32(contrast)
    values = values @ _hue_rotation(turn).T
    changed: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return changed


def _hue_rotation(turn: float) -> NDArray[np.float32]:
    """Return the rotation of RGB space about the grey diagonal by `turn` radians: greys stay."""
    cosine, sine = np.cos(turn), np.sin(turn)
    third = (1.0 - cosine) / 3.0
    side = sine / np.sqrt(3.0)
    rows = [
        [cosine + third, third - side, third + side],
        [third + side, cosine + third, third - side],
        [third - side, third + side, cosine + third],
    ]
    return np.array(rows, dtype=np.float32)
