"""Build the pyramid network of a timm backbone, and the extractor around it."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pni_fast.config.checks import check_network_name
from pni_fast.errors import WeightsError

from .extractor import FeatureExtractor

STRIDES = (8, 16)
"""Strides of the two pyramid levels used, φ_2 and φ_3 of the paper."""

USUAL = (2, 3)
"""Where most pyramids have them, after strides 2 and 4."""


def known_architecture(name: str, what: str) -> str:
    """Return the architecture of a timm name, ``"resnet18"`` of ``"resnet18.a1_in1k"``.

    Parameters
    ----------
    name
        Of a timm network. It never names a place: ``"hf-hub:…"`` and ``"local-dir:…"``, which timm would
        open, are refused before timm is asked.
    what
        The setting's name in the message.

    Raises
    ------
    PniError
        It is no plain name.
    WeightsError
        timm does not know it; the message lists close ones.
    """
    check_network_name(name, what)
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; close names: {', '.join(close)}" if close else ""
        raise WeightsError(f"{what} must be the name of a timm model, got {name!r}{hint}")
    return architecture


def create_pyramid(name: str, what: str, levels: Sequence[int] | None = None) -> Any:
    """Return the untrained network of a timm name that gives pyramid levels; no weights are looked for.

    Parameters
    ----------
    name, what
        As for :func:`known_architecture`.
    levels
        Which of its levels it gives, finest first; None: all that timm takes unasked.

    Raises
    ------
    PniError
        timm does not know the network, or it does not give those levels, or with its channels last.
    """
    known_architecture(name, what)
    chosen: Any = {} if levels is None else {"out_indices": tuple(levels)}
    try:
        network = timm.create_model(name, features_only=True, **chosen)
    except (RuntimeError, AttributeError, AssertionError, IndexError, TypeError, ValueError) as error:
        asked = "" if levels is None else f" and have levels {', '.join(map(str, levels))}"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(
            f"{what} must support timm's features_only{asked}, got {name!r}: {reason}"
        ) from error
    if getattr(network, "output_fmt", "NCHW") != "NCHW":  # swin, for one
        raise WeightsError(f"{what} must give feature maps with channels first, got {name!r}: channels last")
    return network


class _Unset(TorchFunctionMode):
    """Leave out the first values of layers, which nothing without memory can have."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor as it is where it would be filled, else what torch does."""
        given = kwargs or {}
        if getattr(func, "__name__", "") in _FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


_FILLS = frozenset({"normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_"})


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Build networks that have names and shapes of parameters and no memory for them (device ``"meta"``)."""
    with torch.device("meta"), _Unset():
        yield


@cache
def _level_indices(architecture: str) -> tuple[int, ...]:
    """Return which levels of a network have the strides used; shapes only, nothing is allocated."""
    with shapes_alone():
        with contextlib.suppress(WeightsError):  # one build does where the levels are where they mostly are
            usual = create_pyramid(architecture, "backbone", USUAL)
            every = [level["reduction"] for level in usual.feature_info.info]
            if [every.index(stride) if stride in every else -1 for stride in STRIDES] == list(USUAL):
                return USUAL
        pyramid = create_pyramid(architecture, "backbone")
    strides = pyramid.feature_info.reduction()
    if not set(STRIDES) <= set(strides):
        found = ", ".join(str(stride) for stride in sorted(set(strides)))
        raise WeightsError(
            f"backbone must offer feature maps at strides 8 and 16, got {architecture!r} with {found}"
        )
    return tuple(strides.index(stride) for stride in STRIDES)


def build_backbone(name: str, *, outline: bool = False) -> nn.Module:
    """Return the untrained pyramid network `name`, cut after the last level used.

    Parameters
    ----------
    name
        Of a timm model.
    outline
        Names and shapes of its parameters alone, see :func:`shapes_alone`.

    Raises
    ------
    WeightsError
        timm does not know the name (the message lists close ones), or the network has no levels at strides
        8 and 16.
    """
    architecture = known_architecture(name, "backbone")
    levels = _level_indices(architecture)
    with shapes_alone() if outline else contextlib.nullcontext():
        network: nn.Module = create_pyramid(architecture, "backbone", levels)
    return network


def channels(network: Any) -> int:
    """Return the channels of the concatenated levels, Σ c_j."""
    return sum(network.feature_info.channels())


def build_extractor(name: str, patch: int, dimension: int, *, outline: bool = False) -> FeatureExtractor:
    """Return an extractor with untrained weights; d is `dimension` or all channels where there are fewer.

    Of an outline the backbone alone is without memory: the extractor is whole once that has its weights.
    """
    network = build_backbone(name, outline=outline)
    mean, std = training_statistics(name)
    return FeatureExtractor(network, mean, std, patch, min(dimension, channels(network)))


def training_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the images a timm network was trained on; ImageNet's if unknown.

    Raises
    ------
    WeightsError
        timm knows the network, but no weights of that tag.
    """
    try:
        config = timm.get_pretrained_cfg(name) or timm.get_pretrained_cfg(name.partition(".")[0])
    except RuntimeError as error:
        raise WeightsError(f"{name!r} is not the name of weights that timm knows: {error}") from None
    if config:
        return config.mean, config.std
    return timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD
