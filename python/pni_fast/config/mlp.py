"""Shape and training of the neighborhood MLP."""

from __future__ import annotations

from dataclasses import dataclass

from pni_fast.errors import PniError

from .checks import LARGEST_COUNT, check_highest, check_lowest, check_part, check_positive, check_types

HIGHEST = {
    "layers": 100,  # ten times the paper's
    "width": 16_384,  # one layer between two of these takes a gigabyte
    "temperature": 1e6,  # beyond, every class is as probable as any other in float32
    **dict.fromkeys(("reduce", "epochs", "step", "batch", "positions", "shards"), LARGEST_COUNT),
}
LOWEST_TEMPERATURE = 1e-6
"""Logits of a million divided by it are still finite in float32."""


@dataclass(frozen=True)
class MLPConfig:
    """Shape and training of the neighborhood MLP, p(c_dist | N_p(x)) (paper section 3.2 and 4.1).

    Parameters
    ----------
    layers, width
        N_MLP linear layers, all but the last with c_MLP outputs, batch norm and ReLU.
    reduce
        Principal components of the features that the MLP sees; 0 gives it all d channels.
    epochs, step, gamma, learning_rate, batch
        Adam with StepLR(step, gamma), `batch` positions a step.
    positions
        Positions drawn for an epoch; 0 takes every position of every image.
    shards
        Equal parts a batch is cut into, each with batch-norm statistics of its own; they may run at once.
    temperature
        T of the softmax when scoring.
    center
        Let the MLP see the patch itself beside its neighbours, as the authors' code does.
    dropout
        Share of each hidden layer's outputs dropped in training; the authors' code has 0.5.
    validation
        Share of the training images, evenly spaced, that the MLP is not trained on; the epoch with the
        lowest cross entropy on them is kept. 0: all images are trained on and the last epoch is kept.
    fit_temperature
        Take the T under which the classes of the validation images are most probable, in place of
        `temperature`; needs `validation`.

    Raises
    ------
    PniError
        A value is of another type or out of its range.
    """

    layers: int = 10
    width: int = 2048
    reduce: int = 0
    epochs: int = 15
    step: int = 5
    gamma: float = 0.1
    learning_rate: float = 1e-3
    batch: int = 2048
    positions: int = 0
    shards: int = 1
    temperature: float = 2.0
    center: bool = False
    dropout: float = 0.0
    validation: float = 0.0
    fit_temperature: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        # Batch norm needs two rows.
        lowest = {"layers": 2, "width": 1, "reduce": 0, "epochs": 1, "step": 1, "positions": 0, "shards": 1}
        check_lowest(self, {**lowest, "batch": 2})
        check_highest(self, HIGHEST)
        check_positive(self, "learning_rate", "gamma", "temperature")
        if self.temperature < LOWEST_TEMPERATURE:
            raise PniError(f"temperature must be at least {LOWEST_TEMPERATURE}, got {self.temperature}")
        check_part(self, "dropout", "validation")
        if self.fit_temperature and not self.validation:
            raise PniError("fit_temperature needs a validation share above 0, got validation=0")
