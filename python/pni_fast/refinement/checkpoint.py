"""A training run's whole state in one file that appears by renaming."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from pni_fast.config import RefinerConfig
from pni_fast.errors import ModelFileError
from pni_fast.runtime.files import atomic_path
from pni_fast.runtime.precision import Precision
from pni_fast.runtime.tensor_file import TensorFile, TensorFileError, write_tensors
from pni_fast.runtime.tensor_values import Place, digest, not_finite, place_of

from .examples import RefinementTask
from .network import RefinementNetwork

FORMAT = "pni-fast refinement checkpoint 1"

DIGEST = "digest"
"""Of the metadata: a digest over the rest of it and the tensors. Checkpoints of 0.1.0 have none."""

ADAM = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps of every parameter."""


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
    metadata[DIGEST] = digest(metadata, {name: value.detach().cpu() for name, value in tensors.items()})
    with atomic_path(path) as temporary:
        write_tensors(temporary, tensors, metadata)


def read_header(path: Path) -> dict[str, str]:
    """Return what a checkpoint says of itself: ``format``, ``iteration`` and ``run``.

    Raises
    ------
    ModelFileError
        The file is truncated or no checkpoint.
    """
    with _opened(path) as file:
        return file.metadata


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TensorFile]:
    """Open a checkpoint; what is wrong with it, then or while it is read, is told with its name."""
    try:
        with TensorFile(path) as file:
            form = file.metadata.get("format")
            if form != FORMAT:
                raise ModelFileError(f"{path}: must be a {FORMAT!r} file, got {ascii(form)[:60]}")
            unknown = sorted(set(file.metadata) - {"format", "iteration", "run", DIGEST})
            if unknown or not {"iteration", "run"} <= set(file.metadata):
                raise ModelFileError(f"{path}: damaged checkpoint: it must name its iteration and its run")
            yield file
    except OSError as error:
        raise ModelFileError(
            f"{path}: not a readable refinement checkpoint: {error.strerror or error}"
        ) from error
    except TensorFileError as error:
        raise ModelFileError(f"{path}: not a readable refinement checkpoint: {error}") from error


def load_checkpoint(path: Path, run: str, network: RefinementNetwork, optimizer: torch.optim.Adam) -> int:
    """Put a checkpoint's state back and return how many iterations were finished.

    Raises
    ------
    ModelFileError
        The file is no checkpoint, damaged, or of a run with another configuration, seed or other images.
    """
    with _opened(path) as file:
        if file.metadata["run"] != run:
            raise ModelFileError(
                f"{path}: the checkpoint is of another run (its settings, seed, models, images or version of "
                "pni-fast differ); remove it or name another file"
            )
        expected = _state(network)
        found = {name: _kind(place) for name, place in file.places.items()}
        wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        if wrong:
            raise ModelFileError(
                f"{path}: damaged checkpoint: tensor {ascii(wrong[0])[:100]} must be "
                f"{expected.get(wrong[0], 'away')}, got {found.get(wrong[0], 'none')}"
            )
        tensors = file.read_torch()
    iteration = _finished(path, file.metadata, network.config.iterations, tensors)
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
            part: tensors[f"adam.{part}.{name}"].to("cpu" if part == "step" else device) for part in ADAM
        }
    return iteration


def _state(network: RefinementNetwork) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and type of every tensor that a run's state consists of."""
    state = {f"network.{name}": _kind(place_of(value)) for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for part in ADAM:
            shape = () if part == "step" else tuple(parameter.shape)
            state[f"adam.{part}.{name}"] = (shape, place_of(parameter).dtype)
    return state


def _kind(place: Place) -> tuple[tuple[int, ...], str]:
    return place.shape, place.dtype


def _finished(path: Path, metadata: Mapping[str, str], most: int, tensors: Mapping[str, Tensor]) -> int:
    """Return the finished iterations of a checkpoint whose parts agree with each other."""
    said = {name: text for name, text in metadata.items() if name != DIGEST}
    if DIGEST in metadata and metadata[DIGEST] != digest(said, tensors):
        raise ModelFileError(f"{path}: damaged checkpoint: its digest is not that of what it holds")
    name = not_finite(tensors)
    if name is not None:
        raise ModelFileError(f"{path}: damaged checkpoint: tensor {name!r} holds values that are not finite")
    text = metadata["iteration"]
    iteration = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    steps = {float(value) for name, value in tensors.items() if name.startswith("adam.step.")}
    # Adam counts in float32, which stays where it is from 2²⁴ on.
    if not 1 <= iteration <= most or steps != {float(min(iteration, 2**24))}:
        raise ModelFileError(
            f"{path}: damaged checkpoint: iteration must be from 1 to {most} and the steps taken, "
            f"got {ascii(text)[:40]}"
        )
    return iteration
