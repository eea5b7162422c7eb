"""Training of the refinement network (paper sections 3.3 and 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pni_fast.config import REFINERS, RefinerConfig
from pni_fast.progress import Progress, silent
from pni_fast.runtime.device import Device
from pni_fast.runtime.precision import FLOAT32, Precision
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import resolve_threads, thread_pool

from .checkpoint import fingerprint, load_checkpoint, save_checkpoint
from .examples import AnomalyMap, Bank, Example, Examples, Online, RefinementTask, augment, check_images
from .loss import refinement_loss
from .network import RefinementNetwork

ADAM_EPSILON = 1e-12
"""Equations (10) and (11) divide an unsquared norm by the number of pixels: many gradients are near 1e-8,
where Adam's usual epsilon of 1e-8 would hold the steps back."""


def train_refiner(
    images: Sequence[NDArray[np.uint8]],
    anomaly_map: AnomalyMap,
    *,
    config: RefinerConfig = REFINERS["lite"],
    device: torch.device | str = "cpu",
    seed: int = 0,
    weights: Path | None = None,
    num_threads: int | None = None,
    progress: Progress = silent,
    checkpoint: Path | None = None,
) -> RefinementNetwork:
    """Train a refiner on synthetic defects in normal images.

    Parameters
    ----------
    images
        Normal images, uint8 (H, W, 3), all of one size. The caller decides which: best ones the detector was
        not fitted on.
    anomaly_map
        The fitted detector: crops uint8 (B, H, W, 3) to normalised maps Â, float32 (B, H, W). It is called
        from this thread only.
    config
        Network and schedule.
    device
        Where the network is trained.
    seed
        Non-negative; decides the first weights, the defects and the augmentation.
    weights
        Pretrained weights of the encoder. None: the embedded ones, or timm's hub.
    num_threads
        Threads on a CPU; the result does not depend on it. None: PNI_FAST_NUM_THREADS or all cores.
    progress
        Called with stages "synthetic maps" and "refinement".
    checkpoint
        File that the run's state is kept in. Where it exists, training goes on from it, and on a CPU ends
        with the very result of a run never stopped. None: no checkpoints.

    Returns
    -------
    RefinementNetwork
        Trained, in evaluation mode.

    Raises
    ------
    DataError
        There is no image, or images differ in size.
    WeightsError
        The encoder's weights cannot be had.
    ModelFileError
        The checkpoint is broken or of another run.
    ValueError
        `seed` is negative or `anomaly_map` returns maps of another shape or not finite.
    """
    return train_shared_refiner(
        [RefinementTask(images, anomaly_map)],
        config,
        Run(Device.named(str(device)), FLOAT32, resolve_threads(num_threads), progress),
        seed=seed,
        weights=weights,
        checkpoint=checkpoint,
    )


def train_shared_refiner(
    tasks: Sequence[RefinementTask],
    config: RefinerConfig,
    run: Run,
    *,
    seed: int = 0,
    weights: Path | None = None,
    checkpoint: Path | None = None,
) -> RefinementNetwork:
    """Train one refiner on several categories, each with its own detector; see `train_refiner`.

    Parameters
    ----------
    tasks
        The categories. Their images must all have one size.
    config
        Network and schedule.
    run
        Where to train; the precision is that of the network's layers, loss, weights and Adam are float32.
        Told the stages "synthetic maps" and "refinement".
    seed, weights, checkpoint
        As for `train_refiner`.
    """
    shape: tuple[int, ...] | None = None
    for task in tasks:
        shape = check_images(task.images, shape)
    network = _start(config, seed, weights).to(run.device.torch)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, eps=ADAM_EPSILON)
    identity = fingerprint(config, seed, tasks, run.precision, weights) if checkpoint else ""
    first = 0
    if checkpoint is not None and checkpoint.exists():
        first = load_checkpoint(checkpoint, identity, network, optimizer)
    if first < config.iterations:
        with thread_pool(run.threads) as pool:
            examples: Examples = (
                Bank(tasks, config, seed, pool, run.progress)
                if config.bank
                else Online(tasks, config, seed, pool)
            )
            run.progress("refinement", first, config.iterations)
            for iteration in range(first, config.iterations):
                _step(
                    network,
                    optimizer,
                    examples.batch(iteration),
                    iteration=iteration,
                    seed=seed,
                    pool=pool,
                    precision=run.precision,
                )
                done = iteration + 1
                if checkpoint is not None and (
                    done % config.checkpoint_every == 0 or done == config.iterations
                ):
                    save_checkpoint(checkpoint, done, identity, network, optimizer)
                run.progress("refinement", done, config.iterations)
    return network.eval()


def check_encoder(config: RefinerConfig, weights: Path | None) -> None:
    """Find out, before work that takes long, whether a refiner's encoder can have its weights.

    Raises
    ------
    WeightsError
        The weights cannot be read or fetched, or do not fit.
    """
    _start(config, 0, weights)


def _start(config: RefinerConfig, seed: int, weights: Path | None) -> RefinementNetwork:
    """Return a network with pretrained encoder and seeded decoder; torch's own generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RefinementNetwork(config)
        network.load_pretrained(weights)
    return network.train()


def _step(
    network: RefinementNetwork,
    optimizer: torch.optim.Adam,
    examples: Sequence[Example],
    *,
    iteration: int,
    seed: int,
    pool: ThreadPoolExecutor,
    precision: Precision,
) -> None:
    """Take one step of Adam.

    On a CPU every image's gradient is computed by one thread and the gradients are added in the images'
    order, so the sum is the same for any number of threads; on a GPU the batch stays whole.
    """
    parameters = list(network.parameters())
    config = network.config
    device = network.mean.device

    def prepared(slot: int) -> tuple[Tensor, Tensor, Tensor]:
        return augment(examples[slot], config, np.random.default_rng((seed, 2, iteration, slot)))

    def gradients(slots: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, ...]:
        images, maps, truth = (torch.stack(parts).to(device) for parts in zip(*slots, strict=True))
        with precision.in_networks():
            refined = network(images, maps)
        loss = refinement_loss(refined, truth).sum() / len(examples)
        return torch.autograd.grad(loss, parameters)

    slots = range(len(examples))
    if device.type == "cpu":
        parts = list(pool.map(lambda slot: gradients([prepared(slot)]), slots))
    else:
        parts = [gradients(list(pool.map(prepared, slots)))]
    for position, parameter in enumerate(parameters):
        total = parts[0][position]
        for part in parts[1:]:
            total = total + part[position]
        parameter.grad = total
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, iteration)
    optimizer.step()


def learning_rate(config: RefinerConfig, iteration: int) -> float:
    """Return the learning rate of a step: constant, or up over a tenth and down along a cosine to 0."""
    if not config.anneal:
        return config.learning_rate
    warm = max(1, config.iterations // 10)
    if iteration < warm:
        return config.learning_rate * (iteration + 1) / warm
    share = (iteration - warm) / max(1, config.iterations - warm)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
