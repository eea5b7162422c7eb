"""Networks as a model file holds them: bytes of a graph, and tensors that are there anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from .checking import check_graph, finite
from .graph import Array, Declared, Graph, GraphError, decode, encode

CROPS, FEATURES = "crops", "features"
"""Names of an extractor's input and output."""

MAPS, REFINED = "maps", "refined"
"""Names of a refiner's second input and of its output."""

BACKBONE, REFINER = "backbone.", "refiner."
"""What the names of their weights begin with in a model file, and so in the graphs."""

Ends: TypeAlias = tuple[Mapping[str, Declared], Mapping[str, Declared]]
"""What a graph takes and what it gives."""


def extractor_ends(crop: tuple[int, int], features: tuple[int, int, int]) -> Ends:
    """Return the ends of an extractor's graph: crops of (H, W), and Φ of (h, w, d)."""
    return {CROPS: Declared("uint8", (1, *crop, 3))}, {FEATURES: Declared("float32", (1, *features))}


def refiner_ends(crop: tuple[int, int]) -> Ends:
    """Return the ends of a refiner's graph: crops of (H, W) and their maps Â, and Ã."""
    inputs = {CROPS: Declared("uint8", (1, *crop, 3)), MAPS: Declared("float32", (1, *crop))}
    return inputs, {REFINED: Declared("float32", (1, *crop))}


def whole_model(
    graph: bytes,
    tensors: Mapping[str, Array],
    inputs: Mapping[str, Declared],
    outputs: Mapping[str, Declared],
) -> bytes:
    """Return a network's ONNX model with its weights, checked as strictly as a stranger's must be.

    Parameters
    ----------
    graph
        What :func:`.export.extractor_graph` wrote, or its like for another network.
    tensors
        The network's tensors under their names in a model file; those not asked for are left out.
    inputs, outputs
        What it must take and give.

    Raises
    ------
    ModelFileError
        The graph is of no such network.
    """
    known = {name: values.shape for name, values in tensors.items() if values.dtype.name == "float32"}
    read, asked = _checked(graph, known, inputs, outputs)
    return encode(read, {name: tensors[name] for name in asked})


def asked_weights(
    graph: bytes,
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, Declared],
    outputs: Mapping[str, Declared],
) -> list[str]:
    """Return the names of the weights that a graph asks for.

    Parameters
    ----------
    graph, inputs, outputs
        As for :func:`whole_model`.
    shapes
        Of the float32 tensors there are, by name.

    Raises
    ------
    ModelFileError
        As for :func:`whole_model`.
    """
    return _checked(graph, shapes, inputs, outputs)[1]


def _checked(
    graph: bytes,
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, Declared],
    outputs: Mapping[str, Declared],
) -> tuple[Graph, list[str]]:
    read = decode(graph)
    asked = check_graph(read, shapes, inputs, outputs)
    if not finite(read.constants):
        raise GraphError("its graph has a constant that is not finite")
    return read, asked


def grid_of(graph: bytes) -> tuple[int, int]:
    """Return (h, w) of the features that a graph says it gives."""
    _, height, width, _ = decode(graph).outputs[FEATURES].shape
    return height, width
