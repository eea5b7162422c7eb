"""Networks as a model file holds them: bytes of a graph, and tensors that are there anyway."""

from __future__ import annotations

from collections.abc import Mapping

from .checking import check_graph, finite
from .graph import Array, Declared, GraphError, decode, encode

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
    inputs = {CROPS: Declared("uint8", (1, *crop, 3))}
    return _whole(graph, tensors, BACKBONE, inputs, {FEATURES: Declared("float32", (1, *features))})


def refiner_model(graph: bytes, tensors: Mapping[str, Array], crop: tuple[int, int]) -> bytes:
    """Return a refiner's ONNX model with its weights, ``refiner.…``; see :func:`extractor_model`."""
    inputs = {CROPS: Declared("uint8", (1, *crop, 3)), MAPS: Declared("float32", (1, *crop))}
    return _whole(graph, tensors, REFINER, inputs, {REFINED: Declared("float32", (1, *crop))})


def _whole(
    graph: bytes,
    tensors: Mapping[str, Array],
    prefix: str,
    inputs: Mapping[str, Declared],
    outputs: Mapping[str, Declared],
) -> bytes:
    read = decode(graph)
    known = {
        name: values.shape
        for name, values in tensors.items()
        if name.startswith(prefix) and values.dtype.name == "float32"
    }
    asked = check_graph(read, known, inputs, outputs)
    if not finite(read.constants):
        raise GraphError("its graph has a constant that is not finite")
    return encode(read, {name: tensors[name] for name in asked})
