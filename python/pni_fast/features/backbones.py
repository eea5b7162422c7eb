"""Build the network of a timm backbone that gives the levels used, and the extractor around it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import timm
from torch import nn

from pni_fast.config import Config
from pni_fast.errors import WeightsError

from .extractor import FeatureExtractor
from .families import REFUSALS, family_of, known_architecture, shapes_alone, told_size


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
    except REFUSALS as error:
        asked = "" if levels is None else f" and have levels {', '.join(map(str, levels))}"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(
            f"{what} must support timm's features_only{asked}, got {name!r}: {reason}"
        ) from error
    if getattr(network, "output_fmt", "NCHW") != "NCHW":  # swin, for one
        raise WeightsError(f"{what} must give feature maps with channels first, got {name!r}: channels last")
    return network


def build_backbone(
    name: str,
    shape: tuple[int, int] | None = None,
    levels: Sequence[int] = (),
    *,
    outline: bool = False,
    whole: bool = False,
) -> nn.Module:
    """Return the untrained network `name` that gives the levels used, as far as the last of them.

    Parameters
    ----------
    name
        Of a timm model.
    shape
        Height and width of its crops, for networks with position embeddings or windows; None: those it was
        trained at.
    levels
        Strides of a pyramid, or numbers of a vision transformer's blocks from 0 up; none: the usual ones.
    outline
        Names and shapes of its parameters alone, see :func:`shapes_alone`.
    whole
        As for :meth:`Family.create`.

    Raises
    ------
    WeightsError
        timm does not know the name (the message lists close ones), or the network has no such levels or
        does not take such crops.
    """
    architecture = known_architecture(name, "backbone")
    family = family_of(architecture)
    indices = family.indices(levels)
    told = None if shape is None else told_size(architecture, indices, shape)
    try:
        with shapes_alone() if outline else contextlib.nullcontext():
            return family.create(indices, told, whole=whole)
    except REFUSALS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        where = f" for images of {told[1]} x {told[0]} pixels" if told else ""
        raise WeightsError(f"the backbone {architecture} cannot be built{where}: {reason}") from error


def channels(network: Any) -> int:
    """Return the channels of the concatenated levels, Σ c_j."""
    return sum(network.feature_info.channels())


def stride(network: Any) -> int:
    """Return the pixels between two positions of Φ: the stride of the finest level."""
    return int(min(network.feature_info.reduction()))


def build_extractor(
    name: str,
    patch: int,
    dimension: int,
    shape: tuple[int, int] | None = None,
    levels: Sequence[int] = (),
    normalize: bool | None = None,
    *,
    outline: bool = False,
) -> FeatureExtractor:
    """Return an extractor with untrained weights; d is `dimension` or all channels where there are fewer.

    Of an outline the backbone alone is without memory: the extractor is whole once that has its weights.

    Parameters
    ----------
    name, shape, levels, outline
        As for :func:`build_backbone`.
    patch, dimension
        As for :class:`FeatureExtractor`.
    normalize
        Whether each level's vectors have norm 1; None: those of a vision transformer.
    """
    network = build_backbone(name, shape, levels, outline=outline)
    mean, std = training_statistics(name)
    if normalize is None:
        normalize = family_of(name.partition(".")[0]).blocks
    return FeatureExtractor(network, mean, std, patch, min(dimension, channels(network)), normalize)


def backbone_of(config: Config, *, outline: bool = False, whole: bool = False) -> nn.Module:
    """Return the untrained backbone of a model's settings, which name one."""
    (name,) = config.backbones
    return build_backbone(name, config.seen, config.levels, outline=outline, whole=whole)


def told_of(config: Config) -> dict[str, Any]:
    """Return what timm is told of the size of a model's crops, of settings that name one backbone."""
    family = family_of(known_architecture(config.backbones[0], "backbone"))
    indices = family.indices(config.levels)
    return family.size(told_size(family.architecture, indices, config.seen))


def extractor_of(config: Config, *, outline: bool = False) -> FeatureExtractor:
    """Return the untrained extractor of a model's settings, which name one backbone."""
    (name,) = config.backbones
    return build_extractor(
        name,
        config.patch,
        config.dimension,
        config.seen,
        config.levels,
        config.normalize,
        outline=outline,
    )


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
