"""Model the distribution of normal features: coreset, position histogram, neighborhood MLP (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .anomaly_map import Upsampler
from .calibration import shrunken, tail_rate
from .feature_store import in_one_piece
from .kernels import greedy_coreset, nearest, position_histogram
from .left_out import leave_out
from .neighborhood import NeighborhoodMLP
from .neighborhood_training import train_neighborhood
from .position_gate import Gate
from .precision import FLOAT32, Precision
from .presets import Config
from .progress import Progress, silent


@dataclass(frozen=True)
class Distribution:
    """What normal features are, given where they are and what surrounds them.

    Parameters
    ----------
    coreset
        C_emb, float32 (m, d), in the greedy order; its first K rows are C_dist.
    groups
        Index of the nearest C_dist vector of each row of C_emb, int64 (m,).
    position
        p(c_dist | x), float32 (h, w, K), or None where position is switched off or dropped by the gate. Under
        the rule ``"penalty"`` it is shrunken.
    neighborhood
        The model of p(c_dist | N_p(x)), or None where neighborhood is switched off.
    scale
        λ of p(Φ|c) = exp(−λ‖Φ − c‖).
    gate
        What images left out said about position, or None where they were not asked.
    """

    coreset: NDArray[np.float32]
    groups: NDArray[np.int64]
    position: NDArray[np.float32] | None
    neighborhood: NeighborhoodMLP | None
    scale: float = 1.0
    gate: Gate | None = None


def distribution_size(coreset_size: int, config: Config) -> int:
    """Return K = |C_dist|: the paper's size, or all of C_emb where that is smaller."""
    return min(config.distribution_size, coreset_size)


def fit_distribution(
    features: NDArray[np.float32],
    config: Config,
    *,
    device: torch.device,
    num_threads: int,
    progress: Progress = silent,
    precision: Precision = FLOAT32,
) -> Distribution:
    """Fit the distribution of normal features (n, h, w, d)."""
    features = in_one_piece(features)
    count, height, width, dimension = features.shape
    rows = features.reshape(-1, dimension)
    size = max(int(len(rows) * config.coreset_ratio), 1)
    n_classes = distribution_size(size, config)
    picked = greedy_coreset(
        rows,
        size,
        assign=n_classes,
        num_threads=num_threads,
        progress=lambda done, total: progress("coreset", done, total),
    )
    assert picked.labels is not None  # asked for with `assign`
    coreset = rows[picked.indices]
    groups, _ = nearest(coreset, coreset[:n_classes], num_threads=num_threads)
    labels = picked.labels.reshape(count, height, width)
    position = neighborhood = gate = None
    scale = config.likelihood_lambda or 1.0
    if config.position:
        position = position_histogram(
            labels, n_classes, patch=config.neighborhood_size, num_threads=num_threads
        )
    gated = config.position and config.position_gate
    if gated or config.rule == "penalty":
        left_out = leave_out(
            features,
            labels,
            picked.indices,
            groups,
            window=config.neighborhood_size,
            position=gated,
            upsampler=Upsampler(height, width, config.crop, config.sigma),
            num_threads=num_threads,
        )
        if gated:
            gate = Gate.of(left_out)
            position = position if gate.kept else None
        if config.rule == "penalty" and left_out is not None:
            scale = config.likelihood_lambda or tail_rate(left_out.distances)
            if position is not None:
                position = shrunken(labels, position, config.neighborhood_size, left_out.chosen, num_threads)
    if config.neighborhood:
        neighborhood = train_neighborhood(
            features,
            labels,
            n_classes,
            config.neighborhood_size,
            config.mlp,
            device=device,
            seed=config.seed,
            workers=num_threads,
            progress=progress,
            precision=precision,
        )
    return Distribution(coreset, groups, position, neighborhood, scale, gate)
