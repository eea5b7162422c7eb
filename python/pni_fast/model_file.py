"""One model, one `.safetensors` file: tensors, and everything else as JSON in its metadata."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
import torch

from .backbone import build_extractor
from .distribution import Distribution, distribution_size
from .errors import ModelFileError
from .files import atomic_path
from .neighborhood import NeighborhoodMLP
from .presets import Config
from .refinement import RefinementNetwork
from .state import Fitted

FORMAT = 1
"""Number of the layout written. A reader refuses higher ones; raise it when an old reader would go wrong."""

KEY = "pni_fast"

Number = TypeVar("Number", int, float)


def save(fitted: Fitted, path: str | os.PathLike[str]) -> None:
    """Write the model; the file appears whole or not at all.

    Raises
    ------
    PniError
        The file cannot be written.
    """
    parts = fitted.distribution
    tensors = {
        "coreset": torch.from_numpy(parts.coreset),
        "groups": torch.from_numpy(parts.groups),
        **_prefixed("backbone.", fitted.extractor.backbone.state_dict()),
    }
    if parts.position is not None:
        tensors["position"] = torch.from_numpy(parts.position)
    if parts.neighborhood is not None:
        tensors |= _prefixed("neighborhood.", parts.neighborhood.state_dict())
    if fitted.refiner is not None:
        tensors |= _prefixed("refiner.", fitted.refiner.state_dict())
    header = {
        "format": FORMAT,
        "version": version("pni-fast"),
        "config": fitted.config.as_dict(),
        "weights_source": fitted.weights_source,
        "grid": fitted.grid,
        "scale": parts.scale,
        "normalization": fitted.normalization,
        "refiner_range": fitted.refiner_range,
        "n_images": fitted.n_images,
    }
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(contiguous, temporary, metadata={KEY: json.dumps(header, sort_keys=True)})


def load(path: str | os.PathLike[str]) -> Fitted:
    """Read a model.

    Raises
    ------
    ModelFileError
        The file is missing, truncated, foreign, of a newer format, or inconsistent; the message says which.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelFileError(f"{file}: no such model file")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            header = _header(file, metadata)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
    except safetensors.SafetensorError as error:
        raise ModelFileError(
            f"{file}: not a whole .safetensors file ({error}); it is truncated or of another kind"
        ) from error
    try:
        return _assemble(header, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{file}: damaged model file: {type(error).__name__}: {reason}") from error


def _header(file: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise ModelFileError(f"{file}: a .safetensors file, but not a pni-fast model (no {KEY!r} metadata)")
    try:
        header: dict[str, Any] = json.loads(metadata[KEY])
        number = int(header["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{file}: damaged model file: unreadable metadata") from error
    if number > FORMAT:
        raise ModelFileError(
            f"{file}: model format {number} (written by pni-fast {header.get('version', '?')}) is newer than "
            f"format {FORMAT}, the newest that pni-fast {version('pni-fast')} reads; upgrade pni-fast"
        )
    return header


def _assemble(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Fitted:
    config = Config.from_dict(header["config"])
    coreset = tensors["coreset"].numpy()
    extractor = build_extractor(config.backbone, config.patch, config.dimension)
    extractor.backbone.load_state_dict(_stripped("backbone.", tensors))
    size = distribution_size(len(coreset), config)
    neighborhood = refiner = None
    if config.neighborhood:
        neighborhood = NeighborhoodMLP(coreset.shape[1], size, config.neighborhood_size, config.mlp)
        neighborhood.load_state_dict(_stripped("neighborhood.", tensors))
        neighborhood.eval().requires_grad_(False)
    if config.refinement:
        refiner = RefinementNetwork(config.refiner)
        refiner.load_state_dict(_stripped("refiner.", tensors))
        refiner.eval().requires_grad_(False)
    dropped = config.rule == "penalty" and "position" not in tensors  # held-out images spoke against it
    return Fitted(
        config=config,
        weights_source=header["weights_source"],
        extractor=extractor,
        grid=_pair(header["grid"]),
        distribution=Distribution(
            coreset=coreset,
            groups=tensors["groups"].numpy().astype(np.int64, copy=False),
            position=tensors["position"].numpy() if config.position and not dropped else None,
            neighborhood=neighborhood,
            scale=float(header.get("scale", 1.0)),
        ),
        n_images=header["n_images"],
        normalization=_pair(header["normalization"]),
        refiner=refiner,
        refiner_range=_pair(header["refiner_range"]),
    )


def _pair(values: list[Number]) -> tuple[Number, Number]:
    first, second = values
    return first, second


def _prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def _stripped(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
