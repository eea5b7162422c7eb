"""Networks as a model file holds them: bytes of a graph, and tensors that are there anyway."""

from __future__ import annotations

from collections.abc import Mapping

from .checking import Shapes, check_graph, finite
from .graph import Array, Declared, Graph, GraphError, decode, encode

CROPS, FEATURES = "crops", "features"
"""Names of an extractor's input and output."""

MAPS, REFINED = "maps", "refined"
"""Names of a refiner's second input and of its output."""

BACKBONE, REFINER = "backbone.", "refiner."
"""What the names of their weights begin with in a model file, and so in the graphs."""


def extractor_model(
    graph: bytes, tensors: Mapping[str, Array], crop: tuple[int, int], features: tuple[int, int, int]
) -> bytes:
    """Return an extractor's ONNX model with its weights, checked as strictly as a stranger's must be.

    Parameters
    ----------
    graph
        What :func:`.export.extractor_graph` wrote.
    tensors
        Tensors of the model file, ``backbone.…`` among them; what is not asked for is left out.
    crop
        (H, W) of the crops, uint8 (1, H, W, 3).
    features
        (h, w, d) of Φ.

    Raises
    ------
    ModelFileError
        The graph is no extractor of this kind.
    """
    read, asked = _checked_extractor(graph, _shapes(tensors, BACKBONE), crop, features)
    return encode(read, {name: tensors[name] for name in asked})


def asked_by_extractor(
    graph: bytes, shapes: Shapes, crop: tuple[int, int], features: tuple[int, int, int]
) -> list[str]:
    """Return the weights that an extractor's graph asks for, by the shapes of those there are.

    Everything that :func:`extractor_model` looks at has then been looked at.

    Parameters
    ----------
    graph, crop, features
        As for :func:`extractor_model`.
    shapes
        Of the backbone's float32 tensors, by their names in a model file.

    Raises
    ------
    ModelFileError
        The graph is no extractor of this kind, or asks for what is not there.
    """
    return _checked_extractor(graph, shapes, crop, features)[1]


def refiner_model(graph: bytes, tensors: Mapping[str, Array], crop: tuple[int, int]) -> bytes:
    """Return a refiner's ONNX model with its weights, ``refiner.…``; see :func:`extractor_model`."""
    inputs = {CROPS: Declared("uint8", (1, *crop, 3)), MAPS: Declared("float32", (1, *crop))}
    outputs = {REFINED: Declared("float32", (1, *crop))}
    read, asked = _checked(graph, _shapes(tensors, REFINER), inputs, outputs)
    return encode(read, {name: tensors[name] for name in asked})


def _shapes(tensors: Mapping[str, Array], prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        name: values.shape
        for name, values in tensors.items()
        if name.startswith(prefix) and values.dtype.name == "float32"
    }


def _checked_extractor(
    graph: bytes, shapes: Shapes, crop: tuple[int, int], features: tuple[int, int, int]
) -> tuple[Graph, list[str]]:
    inputs = {CROPS: Declared("uint8", (1, *crop, 3))}
    return _checked(graph, shapes, inputs, {FEATURES: Declared("float32", (1, *features))})


def _checked(
    graph: bytes, shapes: Shapes, inputs: Mapping[str, Declared], outputs: Mapping[str, Declared]
) -> tuple[Graph, list[str]]:
    """Return a graph and the names of the weights it asks for."""
    read = decode(graph)
    asked = check_graph(read, shapes, inputs, outputs)
    if not finite(read.constants):
        raise GraphError("its graph has a constant that is not finite")
    return read, asked
