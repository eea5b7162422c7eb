"""The refiner's loss: equations (10) and (11) of the paper."""

from __future__ import annotations

import torch
from torch import Tensor


def regression_loss(refined: Tensor, truth: Tensor) -> Tensor:
    """Equation (10): ‖Ã − A‖₂ / HW of each image.

    Parameters
    ----------
    refined, truth
        Ã and A, float32 (B, H, W).

    Returns
    -------
    Tensor
        float32 (B,).
    """
    return _norm(refined - truth) / _pixels(truth)


def gradient_loss(refined: Tensor, truth: Tensor) -> Tensor:
    """Equation (11): (‖∇ₕÃ − ∇ₕA‖₂ + ‖∇_wÃ − ∇_wA‖₂) / 2HW of each image.

    The partial derivatives are differences of neighbouring pixels inside the map, so there are (H − 1) × W
    and H × (W − 1) of them; the norm is divided by the HW of the paper all the same.

    Parameters
    ----------
    refined, truth
        Ã and A, float32 (B, H, W).

    Returns
    -------
    Tensor
        float32 (B,).
    """
    error = refined - truth
    vertical = error[:, 1:, :] - error[:, :-1, :]
    horizontal = error[:, :, 1:] - error[:, :, :-1]
    return (_norm(vertical) + _norm(horizontal)) / (2 * _pixels(truth))


def refinement_loss(refined: Tensor, truth: Tensor) -> Tensor:
    """Return ℓ = (ℓ_reg + ℓ_grad) / 2 of each image, float32 (B,), of maps (B, H, W).

    The norms are not squared and are taken over each image apart: the mean over a batch does not let one
    large defect drown the small ones. Values and their gradients are tiny (an error of 1 in a hundredth of a
    480² map costs 1e-4), which is why the optimiser's epsilon must be tinier still.

    Raises
    ------
    ValueError
        The shapes differ or are not (B, H, W).
    """
    if refined.ndim != 3 or refined.shape != truth.shape:
        raise ValueError(
            "refined and truth must both have shape (B, H, W), "
            f"got {tuple(refined.shape)} and {tuple(truth.shape)}"
        )
    return (regression_loss(refined, truth) + gradient_loss(refined, truth)) / 2


def _norm(values: Tensor) -> Tensor:
    """L2 norm of each image; its gradient is 0 where the norm is."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms


def _pixels(maps: Tensor) -> int:
    return maps.shape[1] * maps.shape[2]
