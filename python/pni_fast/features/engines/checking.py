"""A graph of a stranger, held to what an extractor is before an engine is given it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TypeAlias

import numpy as np

from .graph import Array, Declared, Graph, GraphError, Node
from .inference import INFERENCE, Shape, Sizes

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

MOST_NODES = 20_000
"""A DenseNet-201's graph has six hundred."""

LARGEST_VALUE = 1024
"""Numbers a value may have for each pixel of the input; the widest of known networks have about a hundred."""

LARGEST_SUM = 1 << 17
"""Of all values together, by the same measure; known networks have up to some thousands."""

LEAST = 1 << 20
"""Numbers a value may always have: a graph for small crops may still turn a weight."""


def check_graph(
    graph: Graph, weights: Shapes, inputs: Mapping[str, Declared], outputs: Mapping[str, Declared]
) -> list[str]:
    """Return the names of the weights that a graph asks for, after a look at everything in it.

    Parameters
    ----------
    graph
        As read.
    weights
        Shapes of the float32 tensors it may ask for.
    inputs, outputs
        What it must take and give.

    Raises
    ------
    GraphError
        It takes or gives something else, has an operation no extractor has, asks for a tensor that is not
        there, or makes values out of all proportion to its input.
    """
    for what, has, must in (("input", graph.inputs, inputs), ("output", graph.outputs, outputs)):
        if dict(has) != dict(must):
            raise GraphError(f"its graph must have the {what} {_said(must)}, got {_said(has)}")
    if len(graph.nodes) > MOST_NODES:
        raise GraphError(f"its graph has {len(graph.nodes)} nodes, at most {MOST_NODES} are allowed")
    asked = graph.asked()
    for name in asked:
        if name not in weights:
            raise GraphError(f"its graph asks for a tensor {_short(name)} that the model lacks")
    shapes: dict[str, Shape] = {name: value.shape for name, value in graph.inputs.items()}
    shapes |= {name: value.shape for name, value in graph.constants.items()}
    taken = set(shapes) & set(weights)
    if taken:
        raise GraphError(f"its graph has a value of its own named {_short(min(taken))} like a weight")
    shapes |= {name: tuple(weights[name]) for name in asked}
    pixels = max(prod(value.shape) for value in graph.inputs.values())
    limit, total = max(LARGEST_VALUE * pixels, LEAST), 0
    for node in graph.nodes:
        for name, shape in zip(node.outputs, _inferred(node, shapes, graph.constants), strict=True):
            size = prod(shape)
            total += size
            if size > limit or total > max(LARGEST_SUM * pixels, LEAST):
                raise GraphError(f"its graph makes {node.operator} values of shape {shape}, too many numbers")
            if name in shapes:
                raise GraphError(f"its graph makes the value {_short(name)} twice")
            shapes[name] = shape
    for name, value in graph.outputs.items():
        if shapes.get(name) != value.shape:
            raise GraphError(f"its graph must give {name} of shape {value.shape}, got {shapes.get(name)}")
    return asked


def _inferred(node: Node, shapes: Mapping[str, Shape], constants: Mapping[str, Array]) -> list[Shape]:
    if node.operator not in INFERENCE:
        raise GraphError(f"its graph has the operation {_short(node.operator)}, which no extractor has")
    for name in node.inputs:
        if name and name not in shapes:
            raise GraphError(f"its graph takes {_short(name)} before it is made")
    try:
        made = INFERENCE[node.operator](Sizes(node, shapes, constants))
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError) as error:
        raise GraphError(f"its graph has a {node.operator} that cannot be: {_short(str(error))}") from error
    if len(made) != len(node.outputs) or any(side < 1 for shape in made for side in shape):
        raise GraphError(f"its graph has a {node.operator} that gives {made}")
    return [tuple(int(side) for side in shape) for shape in made]


def _said(ends: Mapping[str, Declared]) -> str:
    said = (f"{_short(name)} {value.kind} {value.shape}" for name, value in sorted(ends.items()))
    return ", ".join(said) or "none"


def _short(text: str, most: int = 60) -> str:
    plain = ascii(text)
    return plain if len(plain) <= most else f"{plain[:most]}…"


def finite(constants: Mapping[str, Array]) -> bool:
    """Whether every number is one."""
    return all(np.isfinite(value).all() for value in constants.values() if value.dtype.kind == "f")
