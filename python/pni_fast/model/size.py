"""How large a model's file will be, before its fit."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pni_fast.config import Config
from pni_fast.config.backbones import PYRAMID
from pni_fast.distribution.context import MOST_BYTES
from pni_fast.distribution.distribution import distribution_size
from pni_fast.features.embedded import DIMENSION, backbone_bytes, is_embedded

from .left_out import MOST

if TYPE_CHECKING:
    from torch import nn

HEADER, ENTRY, NAME = 1 << 14, 256, 128
"""Bytes that the settings, the entry of a tensor in the table and an image's name have at most, as a rule."""


GRAPH = 1 << 15
"""Bytes of a network's graph without its weights; that of lite's backbone has 13 KB."""


def most_model_bytes(config: Config, n_images: int) -> int:
    """Return how many bytes the model's file has at most.

    Fewer where images are broken, where a gate drops position, or where a backbone's maps are smaller than
    the picture by more than its stride. A size that the images decide may be a little larger than the square
    it is counted as.
    """
    members = [_member_bytes(member, n_images) for member in config.members]
    # Of each, and of an ensemble itself: a digest an image, and two figures of every image left out.
    decisions = 8 * n_images + 16 * min(n_images, MOST) + 4 * ENTRY
    return HEADER + prod(config.geometry.shape) + sum(members) + (len(members) + 1) * decisions


def checkpoint_bytes(config: Config) -> int:
    """Return how many bytes a checkpoint of the refiner's training has: weights, and Adam's two moments."""
    from pni_fast.features.families import shapes_alone
    from pni_fast.refinement import RefinementNetwork

    with shapes_alone():
        return HEADER + 3 * _bytes(RefinementNetwork(config.refiner))


def _member_bytes(config: Config, n_images: int) -> int:
    channels, stride, backbone = _backbone(config)
    dimension = min(config.dimension, channels)
    patches = prod(-(-side // stride) for side in config.geometry.shape)
    rows = max(int(n_images * patches * config.coreset_ratio), 1)
    n_classes = distribution_size(rows, config.distribution_size)
    arrays = rows * dimension * 4 + rows * 8
    position = patches * n_classes * 4 if config.position else 0
    if config.has_context:
        # One of the two is kept, whichever good images speak for.
        kept = min(n_images, config.context.most)
        context = min(kept * (2 * patches + 4 * dimension), MOST_BYTES) + 8 * dimension + NAME * kept
        position = max(position, context)
    arrays += position
    graphs = GRAPH * (1 + config.refinement)
    return arrays + backbone + graphs + _networks(config, dimension, n_classes)


def _backbone(config: Config) -> tuple[int, int, int]:
    """Return the channels of a backbone's levels, the stride of the finest, and the backbone's bytes."""
    if is_embedded(config, None):  # or weights of its shapes
        return DIMENSION, min(PYRAMID), sum(ENTRY + count for count in backbone_bytes())
    from pni_fast.features.backbones import backbone_of, channels, stride

    backbone = backbone_of(config, outline=True)
    return channels(backbone), stride(backbone), _bytes(backbone)


def _networks(config: Config, dimension: int, n_classes: int) -> int:
    """Return the bytes of the networks beside the backbone."""
    if not (config.neighborhood or config.refinement):
        return 0
    from pni_fast.distribution.neighborhood import NeighborhoodMLP
    from pni_fast.features.families import shapes_alone
    from pni_fast.refinement import RefinementNetwork

    total = 0
    with shapes_alone():
        if config.neighborhood:
            total += _bytes(NeighborhoodMLP(dimension, n_classes, config.neighborhood_size, config.mlp))
        if config.refinement:
            total += _bytes(RefinementNetwork(config.refiner))
    return total


def _bytes(network: nn.Module) -> int:
    return sum(ENTRY + tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
