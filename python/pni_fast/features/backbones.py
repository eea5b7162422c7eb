"""Build the pyramid network of a timm backbone, and the extractor around it."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from torch import nn

from pni_fast.errors import WeightsError

from .extractor import FeatureExtractor

STRIDES = (8, 16)
"""Strides of the two pyramid levels used, φ_2 and φ_3 of the paper."""


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
