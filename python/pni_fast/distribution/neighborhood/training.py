"""Train the neighborhood MLP on the labels of normal features (paper section 4.1)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pni_fast.config import MLPConfig
from pni_fast.errors import PniError
from pni_fast.runtime.compiling import Compiled, compiles
from pni_fast.runtime.feature_room import widened
from pni_fast.runtime.precision import Precision
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import thread_pool

from .network import NeighborhoodMLP
from .rows import Batch, Rows, neighborhood_rows
from .validation import ValidationSet, validation_images

SAMPLE = 20_000
"""Features the principal components are estimated from."""


def train_neighborhood(
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    n_classes: int,
    size: int,
    config: MLPConfig,
    run: Run,
    *,
    seed: int,
    room: int | None = None,
) -> NeighborhoodMLP:
    """Return the trained MLP in eval mode, on the device of the run.

    A batch is cut into ``config.shards`` equal parts; each goes through a replica with its own batch-norm
    statistics, and the gradients are added in the order of the parts. The result therefore does not depend
    on how many of the parts run at the same time.

    With ``config.validation`` that share of the images, evenly spaced, is not trained on, and the weights of
    the epoch with the lowest cross entropy on them are kept; ``config.fit_temperature`` then sets T to what
    makes their classes most probable.

    Parameters
    ----------
    features
        (n, h, w, d) normal features.
    labels
        (n, h, w) index of the nearest C_dist vector.
    n_classes
        |C_dist|.
    size
        p of N_p(x).
    config
        Shape and schedule.
    run
        Where to train; the precision is that of the layers and of the features kept for them, loss, gradients
        of the weights and Adam are float32; threads take the parts of a batch on a CPU; optimiser steps are
        reported.
    seed
        Decides weights and batches.
    room
        Bytes of the device for the features, beyond which they stay on the host; None: see
        :func:`.rows.room_on`. The result does not depend on it.

    Raises
    ------
    PniError
        The validation share leaves no image to train on, or a batch would hold a single patch.
    """
    count, height, width, dimension = features.shape
    device, precision = run.device.torch, run.precision
    validating = np.repeat(validation_images(count, config.validation), height * width)
    train = np.flatnonzero(~validating)
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NeighborhoodMLP(dimension, n_classes, size, config)
    flat = features.reshape(-1, dimension)
    sample = np.sort(random.choice(len(flat), min(SAMPLE, len(flat)), replace=False))
    model.set_projection(torch.from_numpy(widened(flat[sample])))
    model.to(device).train()
    per_epoch = min(config.positions or len(train), len(train))
    batch = min(config.batch, per_epoch)
    if batch < 2:  # batch norm has no spread of one
        raise PniError(
            f"neighborhood must train on batches of at least 2 patches, got {batch} from {count} image(s) "
            f"of {height} x {width} patches; fit on more images, a larger crop or without neighborhood"
        )
    steps = max(per_epoch // batch, 1)
    rows = neighborhood_rows(
        model, features, device, precision.networks, batch=batch, threads=run.threads, room=room
    )
    targets = torch.from_numpy(labels.reshape(-1)).to(device)
    judge = (
        ValidationSet(rows, targets, np.flatnonzero(validating), seed, precision)
        if validating.any()
        else None
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=device.type == "cuda")
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, config.step, config.gamma)
    replicas = _replicas(model, config.shards if batch >= 64 * config.shards else 1)
    compiled = compiles(device, training_work(model, config.epochs * steps * batch))
    parts = [_Part(replica, rows, targets, precision, compiled) for replica in replicas]
    for index, replica in enumerate(replicas):
        replica.seed_dropout(int(np.random.default_rng([seed, 2, index]).integers(1 << 62)), device)
    best, kept = np.inf, model.state_dict()

    with thread_pool(min(run.threads, len(replicas))) as pool:
        for epoch in range(config.epochs):
            order = torch.from_numpy(train[random.permutation(len(train))[: steps * batch]])
            # On a GPU nothing here waits for a step to end: the next is queued while it is worked on.
            for step, drawn in enumerate(rows.batches(order.view(steps, batch))):
                list(pool.map(_Part.__call__, parts, drawn.parts(len(parts))))
                _sum_gradients(model, replicas)
                optimizer.step()
                run.progress("neighborhood", epoch * steps + step + 1, config.epochs * steps)
            schedule.step()
            if judge is not None:
                _mean_statistics(model, replicas)
                loss = judge.loss(judge.logits(model))
                if loss < best:
                    best, kept = loss, copy.deepcopy(model.state_dict())
    if judge is None:
        _mean_statistics(model, replicas)
    else:
        model.load_state_dict(kept)
        if config.fit_temperature:
            model.temperature.fill_(judge.fitted_temperature(model))
    model.zero_grad(set_to_none=True)  # as large as the weights, and of no more use
    return model.eval().requires_grad_(False)


def training_work(model: nn.Module, positions: int) -> float:
    """Return the floating point operations of training on so many positions: forward, and twice that back."""
    return 6.0 * positions * sum(parameter.numel() for parameter in model.parameters())


class _Part:
    """Gradients of one replica on its part of a batch."""

    def __init__(
        self, replica: NeighborhoodMLP, rows: Rows, targets: Tensor, precision: Precision, compiled: bool
    ) -> None:
        self.rows, self.targets = rows, targets
        loss, backward = partial(_loss, replica), partial(_backward, replica, precision)
        # Functions and no methods: what held itself would keep the GPU's memory until the next collection.
        self._gradients: Callable[[Tensor, Tensor], None] = (
            Compiled(backward, loss) if compiled else partial(backward, loss)
        )

    def __call__(self, drawn: Batch) -> None:
        neighbors = self.rows.gather(drawn.positions) if drawn.neighbors is None else drawn.neighbors
        self._gradients(neighbors, self.targets[drawn.positions])


def _loss(replica: NeighborhoodMLP, neighbors: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(replica(neighbors).float(), targets)


def _backward(
    replica: NeighborhoodMLP,
    precision: Precision,
    loss: Callable[[Tensor, Tensor], Tensor],
    neighbors: Tensor,
    targets: Tensor,
) -> None:
    replica.zero_grad(set_to_none=True)
    with precision.in_networks():
        found = loss(neighbors, targets)
    torch.autograd.backward(found)


def _replicas(model: NeighborhoodMLP, count: int) -> list[NeighborhoodMLP]:
    """Return copies that share the parameters' storage but have gradients and statistics of their own.

    A single one is the model itself, which at the paper's size is 0.8 GB.
    """
    if count == 1:
        return [model]
    replicas = [copy.deepcopy(model) for _ in range(count)]
    for replica in replicas:
        for mine, shared in zip(replica.parameters(), model.parameters(), strict=True):
            mine.data = shared.data
    return replicas


def _sum_gradients(model: nn.Module, replicas: list[NeighborhoodMLP]) -> None:
    if len(replicas) == 1:  # the model itself
        return
    for shared, *mine in zip(
        model.parameters(), *(replica.parameters() for replica in replicas), strict=True
    ):
        total = mine[0].grad
        for other in mine[1:]:
            total = total + other.grad
        shared.grad = total / len(mine)


def _mean_statistics(model: nn.Module, replicas: list[NeighborhoodMLP]) -> None:
    for shared, *mine in zip(model.buffers(), *(replica.buffers() for replica in replicas), strict=True):
        if shared.dtype.is_floating_point:
            shared.copy_(torch.stack(list(mine)).mean(0))
