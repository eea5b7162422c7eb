"""An extractor's graph as a model file holds it: bytes of the graph, tensors of the backbone."""

from __future__ import annotations

from collections.abc import Mapping

from .checking import check_graph, finite
from .graph import Array, Declared, Graph, GraphError, decode, encode

CROPS, FEATURES = "crops", "features"
"""Names of the input and of the output."""

PREFIX = "backbone."
"""Of the weights' names, as in a model file."""


def whole_model(
    graph: bytes, tensors: Mapping[str, Array], crop: tuple[int, int], features: tuple[int, int, int]
) -> bytes:
    """Return an extractor's ONNX model with its weights, checked as strictly as a stranger's must be.

    Parameters
    ----------
    graph
        What :func:`.export.extractor_graph` wrote.
    tensors
        The backbone's float32 tensors, ``backbone.…``; those not asked for are left out.
    crop
        (H, W) of the crops, uint8 (1, H, W, 3).
    features
        (h, w, d) of Φ.

    Raises
    ------
    ModelFileError
        The graph is no extractor of this kind.
    """
    known = {name: values.shape for name, values in tensors.items() if values.dtype.name == "float32"}
    read, asked = _checked(graph, known, crop, features)
    return encode(read, {name: tensors[name] for name in asked})


def asked_weights(
    graph: bytes,
    shapes: Mapping[str, tuple[int, ...]],
    crop: tuple[int, int],
    features: tuple[int, int, int],
) -> list[str]:
    """Return the names of the weights that a graph asks for; arguments and errors as for `whole_model`.

    Parameters
    ----------
    graph, crop, features
        As for :func:`whole_model`.
    shapes
        Of the float32 tensors there are, by name.
    """
    return _checked(graph, shapes, crop, features)[1]


def _checked(
    graph: bytes,
    shapes: Mapping[str, tuple[int, ...]],
    crop: tuple[int, int],
    features: tuple[int, int, int],
) -> tuple[Graph, list[str]]:
    read = decode(graph)
    asked = check_graph(
        read,
        shapes,
        {CROPS: Declared("uint8", (1, *crop, 3))},
        {FEATURES: Declared("float32", (1, *features))},
    )
    if not finite(read.constants):
        raise GraphError("its graph has a constant that is not finite")
    return read, asked


def grid_of(graph: bytes) -> tuple[int, int]:
    """Return (h, w) of the features that a graph says it gives."""
    _, height, width, _ = decode(graph).outputs[FEATURES].shape
    return height, width
