"""One model, one `.safetensors` file: tensors, and everything else as JSON in its metadata.

A model with one backbone is format 1. An ensemble is format 2, which readers of format 1 refuse by its
number: the tensors of each member carry the prefix ``members.N.`` and its own values are element N of
``members`` in the metadata; the settings are there once.

A file may come from anybody. Loading one executes nothing of it, opens nothing else and asks nobody; what it
says is held to what a user may type, and to the tensors that are there, before memory is taken for them. A
digest shows damage. It proves no origin: whoever makes a file makes its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.errors import ModelFileError, NotInstalledError, PniError
from pni_fast.features.engines.graph import LARGEST_GRAPH
from pni_fast.model.ensemble import FittedModel, combine
from pni_fast.model.fitted import Fitted
from pni_fast.runtime.files import atomic_path
from pni_fast.runtime.tensor_file import TensorFile, TensorFileError, write_tensors
from pni_fast.runtime.tensor_values import digest

from .assembly import CONTEXT_TENSORS, GRAPHS, Outline
from .decision import check_decision, decision_arrays, decision_values, read_decision
from .header import DIGEST, FORMAT, KEY, SINGLE, installed_version, member_values, one_line, read_header
from .roi import check_roi, read_roi, read_size

Tensors = dict[str, NDArray[Any]]
Value = TypeVar("Value")


def save(model: FittedModel, path: str | os.PathLike[str]) -> None:
    """Write the model; the file appears whole or not at all.

    Raises
    ------
    PniError
        The file cannot be written.
    """
    header = {
        "version": installed_version(),
        "config": model.config.as_dict(),
        "n_images": model.n_images,
    }
    roi, image_size = model.members[0].roi, model.members[0].image_size
    if image_size is not None:
        header["image_size"] = list(image_size)
    if len(model.members) == 1:
        tensors = _tensors(model.members[0])
        header |= {"format": SINGLE, **_values(model.members[0])}
    else:
        tensors = {}
        for number, member in enumerate(model.members):
            tensors |= _prefixed(_prefix(number), _tensors(member))
        header |= {"format": FORMAT, "members": [_values(member) for member in model.members]}
        if model.decision is not None:
            header["decision"] = decision_values(model.decision)
            tensors |= decision_arrays(model.decision)
    if roi is not None:
        tensors["roi"] = roi
    header[DIGEST] = digest(header, tensors)
    with atomic_path(path) as temporary:
        write_tensors(temporary, tensors, {KEY: json.dumps(header, sort_keys=True)})


def _prefix(number: int) -> str:
    return f"members.{number}."


def _values(fitted: Fitted) -> dict[str, Any]:
    """Return what is said of a member; `header.VALUES` has every name."""
    gate, trials, context = (getattr(fitted.distribution, name) for name in ("gate", "trials", "context"))
    # Said only where it is there: a model without them stays readable for those who know nothing of them.
    said: dict[str, Any] = {}
    if RULES[fitted.config.rule].tried:
        said["weight"] = fitted.distribution.weight
    if trials is not None:
        said["trials"] = asdict(trials)
    if context is not None:
        said["context_names"] = list(context.names)
    if fitted.engine is not None:
        said["engine"] = fitted.engine
    if fitted.decision is not None:
        said["decision"] = decision_values(fitted.decision)
    return said | {
        "gate": None if gate is None else asdict(gate),
        "weights_source": fitted.weights_source,
        "grid": fitted.grid,
        "scale": fitted.distribution.scale,
        "normalization": fitted.normalization,
        "refiner_range": fitted.refiner_range,
    }


def _tensors(fitted: Fitted) -> Tensors:
    parts = fitted.distribution
    tensors: Tensors = {
        "coreset": parts.coreset,
        "groups": parts.groups,
        **_prefixed("backbone.", fitted.extractor.tensors()),
    }
    for part, network in (("backbone", fitted.extractor), ("refiner", fitted.refiner)):
        if network is not None and network.graph is not None:
            tensors[GRAPHS[part]] = network.graph.content
    if parts.position is not None:
        tensors["position"] = parts.position
    if parts.context is not None:
        tensors |= {f"context.{name}": getattr(parts.context, name) for name in CONTEXT_TENSORS}
    if parts.neighborhood is not None:
        tensors |= _prefixed("neighborhood.", parts.neighborhood.tensors())
    if fitted.refiner is not None:
        tensors |= _prefixed("refiner.", fitted.refiner.tensors())
    if fitted.decision is not None:
        tensors |= decision_arrays(fitted.decision)
    return tensors


def identity(path: str | os.PathLike[str]) -> str:
    """Return a digest of a model file: its own, which loading it holds it to; of older ones one of its bytes.

    Raises
    ------
    ModelFileError
        It cannot be read.
    """
    file = Path(path)
    try:
        with TensorFile(file) as opened:
            said = read_header(file, opened.metadata).get(DIGEST)
        return said if isinstance(said, str) else hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, TensorFileError) as error:
        raise ModelFileError(f"{file}: cannot be read: {one_line(error)}") from error


def load(path: str | os.PathLike[str]) -> FittedModel:
    """Read a model, the members of an ensemble one after another; it keeps nothing of the file.

    Raises
    ------
    ModelFileError
        The file is missing, truncated, foreign, of a newer format, damaged or inconsistent; the message says
        which.
    NotInstalledError
        It holds a part that takes something which is not installed.
    """
    file = Path(path)
    if not file.is_file():
        what = "no regular file" if file.exists() else "no such model file"
        raise ModelFileError(f"{file}: {what}")
    try:
        with TensorFile(file) as opened:
            return _read(file, opened)
    except ModelFileError:
        raise
    except NotInstalledError as error:
        raise NotInstalledError(f"{file}: {error}") from error
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read: {error.strerror or error}") from error
    except TensorFileError as error:
        raise ModelFileError(
            f"{file}: not a whole .safetensors file ({one_line(error)}); it is truncated or of another kind"
        ) from error
    except PniError as error:
        raise ModelFileError(f"{file}: damaged model file: {one_line(error)}") from error
    # Whatever a stranger's values do to the libraries below is told as what it is. Memory that is not there,
    # an interrupt and the like are no fault of the file.
    except (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError) as error:
        raise ModelFileError(f"{file}: damaged model file: {_told(error)}") from error
    except (RecursionError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(f"{file}: damaged model file: {_told(error)}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _read(file: Path, opened: TensorFile) -> FittedModel:
    header = read_header(file, opened.metadata)
    for name in ("config", "n_images"):
        if name not in header:
            raise PniError(f"{name} is missing")
    config = Config.from_dict(header["config"])
    values = member_values(header, len(config.members))
    prefixes = [""] if header["format"] == SINGLE else [_prefix(number) for number in range(len(values))]
    outlines = [
        Outline(member, header["n_images"], said, _stripped(prefix, opened.places), _graphs(opened, prefix))
        for member, said, prefix in zip(config.members, values, prefixes, strict=True)
    ]
    expected = {
        prefix + name for prefix, outline in zip(prefixes, outlines, strict=True) for name in outline.names
    }
    for prefix, said in zip(prefixes, values, strict=True):
        own = check_decision(said.get("decision"), _stripped(prefix, opened.places))
        expected |= {prefix + name for name in own}
    expected |= check_decision(header.get("decision"), opened.places)
    expected |= check_roi(opened.places, config.geometry.shape)
    image_size = read_size(header.get("image_size"))
    surplus = sorted(set(opened.places) - expected)
    if surplus:
        raise PniError(f"tensor {surplus[0]!r} belongs to nothing in this model")
    tensors = opened.read()
    if DIGEST in header and header.pop(DIGEST) != digest(header, tensors):
        raise PniError("its digest is not that of what it holds; it was damaged, or changed by hand")
    members = []
    for prefix, outline, said in zip(prefixes, outlines, values, strict=True):
        own_tensors = _stripped(prefix, tensors)
        decision = read_decision(said.get("decision"), own_tensors)
        filled = outline.filled(own_tensors)
        members.append(replace(filled, decision=decision, roi=read_roi(tensors), image_size=image_size))
    model = combine(config, members)
    if len(members) == 1:
        return model
    return replace(model, decision=read_decision(header.get("decision"), tensors))


def _graphs(opened: TensorFile, prefix: str) -> dict[str, NDArray[np.uint8]]:
    """Return the graphs of a member's networks, which say of which tensors these are made."""
    found = {}
    for part, name in GRAPHS.items():
        place = opened.places.get(prefix + name)
        if place is None:
            continue
        if place.dtype != "uint8" or len(place.shape) != 1 or not 0 < place.shape[0] <= LARGEST_GRAPH:
            raise PniError(
                f"tensor {name!r} must be from 1 to {LARGEST_GRAPH} bytes, got {place.shape} of {place.dtype}"
            )
        found[part] = opened.read({prefix + name})[prefix + name]
    return found


def _prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _stripped(prefix: str, named: Mapping[str, Value]) -> dict[str, Value]:
    return {name[len(prefix) :]: value for name, value in named.items() if name.startswith(prefix)}
