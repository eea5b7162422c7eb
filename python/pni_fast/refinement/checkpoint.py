"""A training run's whole state in one file that appears by renaming."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pni_fast.config import RefinerConfig
from pni_fast.errors import ModelFileError
from pni_fast.runtime.files import atomic_path
from pni_fast.runtime.precision import Precision

from .examples import RefinementTask
from .network import RefinementNetwork

FORMAT = "pni-fast refinement checkpoint 1"


def fingerprint(
    config: RefinerConfig,
    seed: int,
    tasks: Sequence[RefinementTask],
    precision: Precision,
    weights: Path | None = None,
) -> str:
    """Return a digest of all that a run follows from.

    That is version, settings, seed, detectors, images, types and a local file of the encoder's weights.
    """
    detectors = [task.detector for task in tasks]
    settings = [version("pni-fast"), asdict(config), seed, detectors, [len(task.images) for task in tasks]]
    if precision.networks != torch.float32:  # checkpoints written before there was a choice stay good
        settings.append(str(precision.networks))
    if weights is not None:
        settings.append(hashlib.sha256(weights.read_bytes()).hexdigest())
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for task in tasks:
        for image in task.images:
            digest.update(image.tobytes())
    return digest.hexdigest()


def save_checkpoint(
    path: Path, iteration: int, run: str, network: RefinementNetwork, optimizer: torch.optim.Adam
) -> None:
    """Write network, optimiser and the number of finished iterations; `run` is the run's fingerprint.

    Raises
    ------
    PniError
        The file cannot be written.
    """
    tensors = {f"network.{name}": value.contiguous() for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for part, value in optimizer.state[parameter].items():
            tensors[f"adam.{part}.{name}"] = value.contiguous()
    metadata = {"format": FORMAT, "iteration": str(iteration), "run": run}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata)


def read_header(path: Path) -> dict[str, str]:
    """Return what a checkpoint says of itself: ``format``, ``iteration`` and ``run``.

    Raises
    ------
    ModelFileError
        The file is truncated or no checkpoint.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelFileError(f"{path}: not a readable refinement checkpoint: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{path}: must be a {FORMAT!r} file, got {metadata.get('format')!r}")
    return metadata


def load_checkpoint(path: Path, run: str, network: RefinementNetwork, optimizer: torch.optim.Adam) -> int:
    """Put a checkpoint's state back and return how many iterations were finished.

    Raises
    ------
    ModelFileError
        The file is no checkpoint, or one of a run with another configuration, seed or other images.
    """
    metadata = read_header(path)
    if metadata["run"] != run:
        raise ModelFileError(
            f"{path}: the checkpoint is of another run (its settings, seed, models, images or version of "
            "pni-fast differ); remove it or name another file"
        )
    with safetensors.safe_open(path, "pt") as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    device = network.mean.device
    network.load_state_dict(
        {
            name.removeprefix("network."): value
            for name, value in tensors.items()
            if name.startswith("network.")
        }
    )
    for name, parameter in network.named_parameters():
        # Adam counts its steps in a CPU tensor wherever its moments are.
        optimizer.state[parameter] = {
            part: tensors[f"adam.{part}.{name}"].to("cpu" if part == "step" else device)
            for part in ("step", "exp_avg", "exp_avg_sq")
        }
    return int(metadata["iteration"])
