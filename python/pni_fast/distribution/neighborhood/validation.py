"""Judge the neighborhood MLP on normal images that its training leaves out: best epoch, temperature."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pni_fast.errors import PniError
from pni_fast.runtime.precision import FLOAT32, Precision

from .network import NeighborhoodMLP
from .rows import Rows

POSITIONS = 8192
"""Positions that are looked at; drawn once, from all validation images."""

CHUNK = 1024
"""Positions in one forward pass."""

TEMPERATURES = (0.05, 20.0)
"""Range a fitted temperature is sought in."""


def validation_images(count: int, share: float) -> NDArray[np.bool_]:
    """Return which of `count` images validate: evenly spaced, at least one where `share` is not 0.

    Raises
    ------
    PniError
        Nothing would be left to train on.
    """
    chosen = np.zeros(count, dtype=bool)
    if share:
        number = max(round(share * count), 1)
        if number >= count:
            raise PniError(
                f"mlp.validation of {share:g} must leave images to train on, "
                f"got {count} image{'s' if count != 1 else ''} in all"
            )
        chosen[np.linspace(0, count, number, endpoint=False).astype(int) + count // (2 * number)] = True
    return chosen


class ValidationSet:
    """Cross entropy on positions of validation images.

    Parameters
    ----------
    rows
        What the MLP sees of every feature of every image, also of those it trains on.
    targets
        (n·h·w,) int64 classes, on the device of the MLP.
    positions
        (m,) int64 indices of the positions of validation images; at most :data:`POSITIONS` of them are used.
    seed
        Seed of the choice.
    precision
        Of the layers.
    """

    def __init__(
        self,
        rows: Rows,
        targets: Tensor,
        positions: NDArray[np.int64],
        seed: int,
        precision: Precision = FLOAT32,
    ) -> None:
        random = np.random.default_rng([seed, 1])  # a stream of its own: training draws as without it
        chosen = np.sort(random.permutation(positions)[:POSITIONS])
        self.rows, self.precision = rows, precision
        self.positions = torch.from_numpy(chosen).to(targets.device)
        self.targets = targets[self.positions]

    @torch.inference_mode()
    def logits(self, model: NeighborhoodMLP) -> Tensor:
        """Return the logits, (m, |C_dist|), of the model in eval mode."""
        was_training = model.training
        model.eval()
        with self.precision.in_networks():
            parts = [
                model(self.rows.gather(self.positions[start : start + CHUNK]))
                for start in range(0, len(self.positions), CHUNK)
            ]
        model.train(was_training)
        return torch.cat(parts).float()

    def loss(self, logits: Tensor, temperature: float = 1.0) -> float:
        """Return the mean cross entropy, in nats, of the softmax at a temperature."""
        return float(F.cross_entropy(logits / temperature, self.targets))

    def fitted_temperature(self, model: NeighborhoodMLP) -> float:
        """Return the temperature under which their classes are most probable (Guo et al., 2017)."""
        from scipy.optimize import minimize_scalar

        logits = self.logits(model)
        low, high = (float(np.log(1 / value)) for value in reversed(TEMPERATURES))
        # Convex in 1/T, so of one minimum in log(1/T) as well.
        found = minimize_scalar(
            lambda sharpness: self.loss(logits, float(np.exp(-sharpness))),
            bounds=(low, high),
            method="bounded",
        )
        return float(np.exp(-found.x))
