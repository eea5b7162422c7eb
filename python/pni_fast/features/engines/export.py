"""The extractor as an ONNX graph without its weights, which the model file holds already."""

from __future__ import annotations

import numpy as np
from torch import nn

from pni_fast.errors import ModelFileError
from pni_fast.features.extractor import SMALLEST_NORM, FeatureExtractor

from .building import GraphBuilder
from .call import NoGraphError
from .graph import Array, encode
from .networks import BACKBONE, CROPS, FEATURES, asked_weights, extractor_ends
from .recording import record
from .shapes import windows


def extractor_graph(extractor: FeatureExtractor, height: int, width: int) -> bytes:
    """Return the ONNX graph of an extractor for crops of one size.

    It takes ``crops``, uint8 (1, H, W, 3), and gives ``features``, Φ, float32 (1, h, w, d). The backbone's
    state is left out; its tensors are asked for by their names in a model file, ``backbone.…``.

    Parameters
    ----------
    extractor
        On any device; nothing of it is changed.
    height, width
        Of the crops.

    Raises
    ------
    WeightsError
        The backbone does something that no graph is known for.
    """
    graph = GraphBuilder()
    crops = graph.input(CROPS, "uint8", (1, height, width, 3))
    features, shape = add_extractor(graph, extractor, crops, height, width)
    graph.output(features, FEATURES, shape)
    content = encode(graph.graph("extractor"))
    state = {BACKBONE + name: tuple(value.shape) for name, value in extractor.backbone.state_dict().items()}
    try:
        asked_weights(content, state, *extractor_ends((height, width), shape[1:]))
    except ModelFileError as error:  # what no reader takes is no graph
        raise NoGraphError(
            f"{type(extractor.backbone).__name__} cannot be written as a graph: {error}"
        ) from error
    return content


def add_extractor(
    graph: GraphBuilder, extractor: FeatureExtractor, crops: str, height: int, width: int
) -> tuple[str, tuple[int, int, int, int]]:
    """Add an extractor behind uint8 crops; return the name and the shape (1, h, w, d) of Φ."""
    mean, std = (value.detach().double().cpu().numpy() for value in (extractor.mean, extractor.std))
    pixels = graph.node("Cast", [crops], {"to": 1})
    pixels = graph.node("Transpose", [pixels], {"perm": [0, 3, 1, 2]})
    pixels = graph.node("Mul", [pixels, graph.constant(1 / (255 * std), "float32")])
    pixels = graph.node("Sub", [pixels, graph.constant(mean / std, "float32")])
    levels = record(graph, extractor.backbone, [(pixels, (1, 3, height, width))], BACKBONE)
    return _aggregated(graph, levels, extractor)


def _aggregated(
    graph: GraphBuilder, levels: list[tuple[str, tuple[int, ...]]], extractor: FeatureExtractor
) -> tuple[str, tuple[int, int, int, int]]:
    """Add what `aggregate_patches` does; channels come last only at the end."""
    patch, dimension = extractor.patch, extractor.dimension
    height, width = (max(shape[axis] for _, shape in levels) for axis in (2, 3))
    maps = []
    for level, shape in levels:
        pooled = level
        if patch > 1:
            pooled = graph.node(
                "AveragePool",
                [level],
                {
                    "kernel_shape": [patch, patch],
                    "pads": [patch // 2] * 4,
                    "strides": [1, 1],
                    "count_include_pad": 1,
                },
            )
        if extractor.normalize:
            norm = graph.node("ReduceL2", [pooled], {"axes": [1], "keepdims": 1})
            least = graph.constant(SMALLEST_NORM, "float32")
            pooled = graph.node("Div", [pooled, graph.node("Clip", [norm, least])])
        if shape[2:] != (height, width):
            sizes = graph.constant([1, shape[1], height, width], "int64")
            how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
            pooled = graph.node("Resize", [pooled, "", "", sizes], how)
        maps.append(pooled)
    joined = graph.node("Concat", maps, {"axis": 1}) if len(maps) > 1 else maps[0]
    joined = _pooled_channels(graph, joined, sum(shape[1] for _, shape in levels), dimension)
    rows = graph.node("Transpose", [joined], {"perm": [0, 2, 3, 1]})
    return rows, (1, height, width, dimension)


def _pooled_channels(graph: GraphBuilder, maps: str, channels: int, dimension: int) -> str:
    """Average neighbouring channels to `dimension`: whole planes are gathered and added, no matrix is."""
    if channels == dimension:
        return maps
    start, end = windows(channels, dimension)
    length = end - start
    total = ""
    for step in range(int(length.max())):
        share = (step < length) / length
        plane = graph.node(
            "Gather", [maps, graph.constant(np.minimum(start + step, end - 1), "int64")], {"axis": 1}
        )
        part = graph.node("Mul", [plane, graph.constant(share.reshape(1, -1, 1, 1), "float32")])
        total = graph.node("Add", [total, part]) if total else part
    return total


def state_arrays(network: nn.Module, prefix: str) -> dict[str, Array]:
    """Return the float32 tensors of a network's state as arrays, without a copy where they are on the CPU."""
    return {
        prefix + name: value.detach().cpu().numpy()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
