"""One model, one `.safetensors` file: tensors, and everything else as JSON in its metadata.

A model with one backbone is format 1. An ensemble is format 2, which readers of format 1 refuse by its
number: the tensors of each member carry the prefix ``members.N.`` and its own values are element N of
``members`` in the metadata; the settings are there once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
import torch

from pni_fast.config import Config, setting_names
from pni_fast.distribution.distribution import Distribution, distribution_size
from pni_fast.distribution.gate import Gate
from pni_fast.distribution.neighborhood import NeighborhoodMLP
from pni_fast.errors import ModelFileError, PniError
from pni_fast.features.backbones import build_extractor
from pni_fast.refinement import RefinementNetwork
from pni_fast.runtime.files import atomic_path

from .ensemble import FittedModel, combine
from .fitted import Fitted

SINGLE, FORMAT = 1, 2
"""Numbers of the layouts: of one member, and of several. A reader refuses higher ones than it knows."""

KEY = "pni_fast"

Number = TypeVar("Number", int, float)


Tensors = dict[str, torch.Tensor]


def save(model: FittedModel, path: str | os.PathLike[str]) -> None:
    """Write the model; the file appears whole or not at all.

    Raises
    ------
    PniError
        The file cannot be written.
    """
    header = {
        "version": version("pni-fast"),
        "config": model.config.as_dict(),
        "n_images": model.n_images,
    }
    if len(model.members) == 1:
        tensors = _tensors(model.members[0])
        header |= {"format": SINGLE, **_values(model.members[0])}
    else:
        tensors = {}
        for number, member in enumerate(model.members):
            tensors |= _prefixed(_prefix(number), _tensors(member))
        header |= {"format": FORMAT, "members": [_values(member) for member in model.members]}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(contiguous, temporary, metadata={KEY: json.dumps(header, sort_keys=True)})


def _prefix(number: int) -> str:
    return f"members.{number}."


def _values(fitted: Fitted) -> dict[str, Any]:
    gate = fitted.distribution.gate
    return {
        "gate": None if gate is None else asdict(gate),
        "weights_source": fitted.weights_source,
        "grid": fitted.grid,
        "scale": fitted.distribution.scale,
        "normalization": fitted.normalization,
        "refiner_range": fitted.refiner_range,
    }


def _tensors(fitted: Fitted) -> Tensors:
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
    return tensors


def load(path: str | os.PathLike[str]) -> FittedModel:
    """Read a model, the members of an ensemble one after another.

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
            header = _header(file, opened.metadata() or {})

            def tensors(prefix: str) -> Tensors:
                names = [name for name in opened.keys() if name.startswith(prefix)]  # noqa: SIM118 (no mapping)
                return {name[len(prefix) :]: opened.get_tensor(name) for name in names}

            return _assemble_all(header, tensors)
    except ModelFileError:
        raise
    except safetensors.SafetensorError as error:
        raise ModelFileError(
            f"{file}: not a whole .safetensors file ({error}); it is truncated or of another kind"
        ) from error
    except PniError as error:
        raise ModelFileError(f"{file}: damaged model file: {error}") from error
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
    _check_settings(file, header)
    return header


def _check_settings(file: Path, header: dict[str, Any]) -> None:
    """Refuse, by its name, a setting that a newer version has added without a new format."""
    config, written, here = header.get("config"), str(header.get("version", "")), version("pni-fast")
    if not isinstance(config, dict) or _order(written) <= _order(here):
        return  # what does not fit is then damage, and told as such
    names = [
        f"{name}.{inner}" if inner else name
        for name, value in config.items()
        for inner in (value if isinstance(value, dict) else [""])
    ]
    unknown = [name for name in names if name not in setting_names(Config)]
    if unknown:
        raise ModelFileError(
            f"{file}: written by pni-fast {written}, newer than this one, {here}, which does not know the "
            f"setting {unknown[0]!r}; upgrade pni-fast"
        )


def _order(release: str) -> tuple[int, ...]:
    """Return the numbers a version begins with, for comparing."""
    return tuple(map(int, re.findall(r"\d+", release)[:3]))


def _assemble_all(header: dict[str, Any], tensors: Callable[[str], Tensors]) -> FittedModel:
    """Return the model of a header; `tensors` gives those whose names begin with a prefix, without it."""
    config = Config.from_dict(header["config"])
    count = header["n_images"]
    if header["format"] == SINGLE:
        return _assemble(config, count, header, tensors(""))
    each = zip(config.members, header["members"], strict=True)
    return combine(
        config,
        [
            _assemble(member, count, values, tensors(_prefix(number)))
            for number, (member, values) in enumerate(each)
        ],
    )


def _assemble(config: Config, n_images: int, values: dict[str, Any], tensors: Tensors) -> Fitted:
    (backbone,) = config.backbones
    coreset = tensors["coreset"].numpy()
    extractor = build_extractor(backbone, config.patch, config.dimension)
    extractor.backbone.load_state_dict(_stripped("backbone.", tensors))
    n_classes = distribution_size(len(coreset), config.distribution_size)
    neighborhood = refiner = None
    if config.neighborhood:
        neighborhood = NeighborhoodMLP(coreset.shape[1], n_classes, config.neighborhood_size, config.mlp)
        neighborhood.load_state_dict(_stripped("neighborhood.", tensors))
        neighborhood.eval().requires_grad_(False)
    if config.refinement:
        refiner = RefinementNetwork(config.refiner)
        refiner.load_state_dict(_stripped("refiner.", tensors))
        refiner.eval().requires_grad_(False)
    gate = None if values.get("gate") is None else Gate(**values["gate"])
    # Files older than the gate's record: a histogram that the penalty rule lacks was dropped.
    unrecorded = "gate" not in values and config.position_gate and "position" not in tensors
    dropped = unrecorded if gate is None else not gate.kept
    return Fitted(
        config=config,
        weights_source=values["weights_source"],
        extractor=extractor,
        grid=_pair(values["grid"]),
        distribution=Distribution(
            coreset=coreset,
            groups=tensors["groups"].numpy().astype(np.int64, copy=False),
            n_classes=n_classes,
            position=tensors["position"].numpy() if config.position and not dropped else None,
            neighborhood=neighborhood,
            scale=float(values.get("scale", 1.0)),
            gate=gate,
        ),
        n_images=n_images,
        normalization=_pair(values["normalization"]),
        refiner=refiner,
        refiner_range=_pair(values["refiner_range"]),
    )


def _pair(values: list[Number]) -> tuple[Number, Number]:
    first, second = values
    return first, second


def _prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _stripped(prefix: str, tensors: Tensors) -> Tensors:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
