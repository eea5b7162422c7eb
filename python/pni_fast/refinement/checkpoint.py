"""A training run's whole state in one file that appears by renaming."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from pni_fast.errors import ModelFileError
from pni_fast.files import atomic_path

from .config import RefinerConfig
from .network import RefinementNetwork

FORMAT = "pni-fast refinement checkpoint 1"


def fingerprint(config: RefinerConfig, seed: int, images: Iterable[NDArray[np.uint8]]) -> str:
    """Return a digest of everything a run's result follows from, apart from the detector's maps."""
    digest = hashlib.sha256(json.dumps([asdict(config), seed], sort_keys=True).encode())
    for image in images:
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


def load_checkpoint(path: Path, run: str, network: RefinementNetwork, optimizer: torch.optim.Adam) -> int:
    """Put a checkpoint's state back and return how many iterations were finished.

    Raises
    ------
    ModelFileError
        The file is no checkpoint, or one of a run with another configuration, seed or other images.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelFileError(f"{path}: not a readable refinement checkpoint: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{path}: must be a {FORMAT!r} file, got {metadata.get('format')!r}")
    if metadata["run"] != run:
        raise ModelFileError(
            f"{path}: the checkpoint is of another run (configuration, seed or images differ); remove it or "
            "name another file"
        )
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
