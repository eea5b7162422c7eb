"""The refinement network as an ONNX graph, alone for an engine or as a part of a larger one."""

from __future__ import annotations

import numpy as np

from pni_fast.features.engines.building import GraphBuilder
from pni_fast.features.engines.graph import encode
from pni_fast.features.engines.networks import CROPS, MAPS, REFINED, REFINER
from pni_fast.features.engines.recording import record
from pni_fast.features.engines.shapes import averaging

from .network import RefinementNetwork, working_size


def refiner_graph(refiner: RefinementNetwork, height: int, width: int) -> bytes:
    """Return the ONNX graph of a refiner for pictures of one size, without its weights.

    It takes ``crops``, uint8 (1, H, W, 3), and ``maps``, Â, float32 (1, H, W), and gives ``refined``, Ã,
    float32 (1, H, W): what :meth:`.network.RefinementNetwork.refine` does.

    Parameters
    ----------
    refiner
        On any device; nothing of it is changed.
    height, width
        Of the crops.

    Raises
    ------
    WeightsError
        Its encoder does something that no graph is known for.
    """
    graph = GraphBuilder()
    crops = graph.input(CROPS, "uint8", (1, height, width, 3))
    maps = graph.input(MAPS, "float32", (1, height, width))
    refined = add_refiner(graph, refiner, crops, maps, height, width)
    graph.output(refined, REFINED, (1, height, width))
    return encode(graph.graph("refiner"))


def add_refiner(
    graph: GraphBuilder, refiner: RefinementNetwork, crops: str, maps: str, height: int, width: int
) -> str:
    """Add a refiner behind uint8 crops and normalised maps (1, H, W); return the name of Ã, (1, H, W)."""
    pixels = graph.node("Cast", [crops], {"to": 1})
    pixels = graph.node("Transpose", [pixels], {"perm": [0, 3, 1, 2]})
    pixels = graph.node("Div", [pixels, graph.constant(255.0, "float32")])
    size = working_size((height, width), refiner.config.side)
    reduced = [_reduced(graph, value, (height, width), size) for value in (pixels, maps)]
    shapes = [(1, 3, *size), (1, *size)]
    [(refined, _)] = record(graph, refiner, list(zip(reduced, shapes, strict=True)), REFINER)
    if size == (height, width):
        return refined
    refined = graph.node("Reshape", [refined, graph.constant([1, 1, *size], "int64")])
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    sizes = graph.constant([1, 1, height, width], "int64")
    refined = graph.node("Resize", [refined, "", "", sizes], how)
    return graph.node("Reshape", [refined, graph.constant([1, height, width], "int64")])


def _reduced(graph: GraphBuilder, value: str, size: tuple[int, int], target: tuple[int, int]) -> str:
    """Average over areas, as `reduce_to` does, by a matrix on each side."""
    rows, columns = (averaging(*sides) for sides in zip(size, target, strict=True))
    if size[0] != target[0]:
        value = graph.node("MatMul", [graph.constant(rows, "float32"), value])
    if size[1] != target[1]:
        value = graph.node("MatMul", [value, graph.constant(np.ascontiguousarray(columns.T), "float32")])
    return value
