"""An ONNX graph as plain values: written to bytes, and read from bytes that anybody may have made.

The weights of a network are not in it: they are tensors of the model file, and are put in when an engine is
given the graph (:func:`encode`), so they are stored once. An engine never sees the bytes that were read, only
what is written anew from the values here: what this page has no word for (other files, functions, inner
graphs) cannot reach it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError

from .wire import WireError, fields, message, signed, varint

Array: TypeAlias = NDArray[Any]
Attribute: TypeAlias = "int | float | str | Sequence[int] | Sequence[float]"

OPSET, IR = 17, 8
"""Old enough for every runtime of the last years; all that an extractor needs is in it."""

PRODUCER = "pni-fast"

KINDS = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9}
"""ONNX's number of each type that a graph may hold."""

_NAMES = {number: name for name, number in KINDS.items()}

LARGEST_GRAPH = 16 << 20
"""Bytes of a graph without weights; a DenseNet-201's has a hundred thousand."""


class GraphError(ModelFileError):
    """Bytes that are no graph of this package, or one that may not be run."""


@dataclass(frozen=True)
class Node:
    """One operation of ONNX's own set: its name, the values it takes (`""` for none) and those it makes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Declared:
    """An input or an output: type and shape."""

    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """A graph without the weights it asks for.

    Parameters
    ----------
    name
        Of the graph.
    nodes
        In the order they are computed.
    constants
        Small arrays that belong to it: sizes, mean and deviation.
    inputs, outputs
        By name.
    """

    name: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: Mapping[str, Declared]
    outputs: Mapping[str, Declared]

    def asked(self) -> list[str]:
        """Return the names of the tensors that it takes from outside, the weights, in order."""
        own = {"", *self.constants, *self.inputs, *(name for node in self.nodes for name in node.outputs)}
        return sorted({name for node in self.nodes for name in node.inputs} - own)


def encode(
    graph: Graph,
    tensors: Mapping[str, Array] | None = None,
    metadata: Mapping[str, str] | None = None,
    version: str = "",
) -> bytes:
    """Return ONNX's ModelProto.

    Parameters
    ----------
    graph
        The graph.
    tensors
        Weights to put in; with them it is for an engine, and its nodes have names.
    metadata, version
        Properties of the model, and the version of what made it.
    """
    entries = [message((1, key), (2, value)) for key, value in (metadata or {}).items()]
    head = message(
        (1, IR),
        (2, PRODUCER),
        (3, [version] if version else []),
        (8, message((1, ""), (2, OPSET))),
        (14, entries),
        (
            7,
            message(
                (1, [_node(node, named=tensors is not None) for node in graph.nodes]),
                (2, graph.name),
                (5, [b"".join(_tensor(*item)) for item in graph.constants.items()]),
                (11, [_declared(*item) for item in graph.inputs.items()]),
                (12, [_declared(*item) for item in graph.outputs.items()]),
            ),
        ),
    )
    # What stands behind an encoded message is merged into it, and so each weight is copied once.
    chunks: list[Any] = [head]
    for name, values in (tensors or {}).items():
        parts = _tensor(name, values)
        size = sum(len(part) for part in parts)
        inner = varint(5 << 3 | 2) + varint(size)
        chunks += [varint(7 << 3 | 2) + varint(len(inner) + size) + inner, *parts]
    return b"".join(chunks)


def _tensor(name: str, values: Array) -> list[Any]:
    """Return ONNX's TensorProto: what is said of an array, and its bytes, not copied."""
    content = np.ascontiguousarray(values)
    content = content.astype(content.dtype.newbyteorder("<"), copy=False)
    said = message((1, [int(side) for side in values.shape]), (2, KINDS[values.dtype.name]), (8, name))
    raw = content.reshape(-1).view(np.uint8)
    return [said + varint(9 << 3 | 2) + varint(raw.nbytes), raw.data]


def _node(node: Node, *, named: bool) -> bytes:
    """Return ONNX's NodeProto; some engines make names of those of nodes, and need them to differ."""
    said = [_attribute(name, value) for name, value in node.attributes.items()]
    name = [node.outputs[0]] if named else []
    return message((1, node.inputs), (2, node.outputs), (3, name), (4, node.operator), (5, said))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value, int):
        return message((1, name), (3, int(value)), (20, 2))
    if isinstance(value, float):
        return message((1, name), (2, value), (20, 1))
    if all(isinstance(item, int) for item in value):
        return message((1, name), (8, [int(item) for item in value]), (20, 7))
    return message((1, name), (7, [float(item) for item in value]), (20, 6))


def _declared(name: str, value: Declared) -> bytes:
    shape = message((1, [message((1, int(side))) for side in value.shape]))
    return message((1, name), (2, message((1, message((1, KINDS[value.kind]), (2, shape))))))


def decode(content: bytes) -> Graph:
    """Return what bytes say, as far as :func:`encode` writes it; anything else is refused.

    Raises
    ------
    GraphError
        They are too many, no ONNX model, or one with something that has no place here.
    """
    if len(content) > LARGEST_GRAPH:
        raise GraphError(f"its graph has {len(content)} bytes, at most {LARGEST_GRAPH} are allowed")
    try:
        return _decode(content)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, GraphError):
            raise
        reason = str(error) if isinstance(error, WireError) else "a field is missing or of another type"
        raise GraphError(f"its graph is no ONNX model: {reason}") from error


def _decode(content: bytes) -> Graph:
    model = _collected(content, {1: "one", 2: "one", 3: "one", 7: "one", 8: "one", 14: "any"}, "model")
    opset = _collected(model[8][0], {1: "one", 2: "one"}, "opset")
    if opset.get(1, [b""])[0] or opset[2][0] != OPSET:
        raise GraphError(f"its graph must be of operator set ai.onnx {OPSET}")
    graph = _collected(model[7][0], {1: "any", 2: "one", 5: "any", 11: "any", 12: "any"}, "graph")
    constants = [_read_tensor(entry) for entry in graph.get(5, [])]
    ends = [[_read_declared(entry) for entry in graph.get(number, [])] for number in (11, 12)]
    names = [[name for name, _ in constants], *([name for name, _ in end] for end in ends)]
    if any(len(set(some)) < len(some) for some in names):
        raise GraphError("its graph has a name twice")
    return Graph(
        graph[2][0].decode(),
        tuple(_read_node(entry) for entry in graph.get(1, [])),
        dict(constants),
        dict(ends[0]),
        dict(ends[1]),
    )


def _read_node(content: bytes) -> Node:
    said = _collected(content, {1: "any", 2: "any", 4: "one", 5: "any"}, "node")
    attributes = dict(_read_attribute(entry) for entry in said.get(5, []))
    return Node(said[4][0].decode(), _texts(said.get(1, [])), _texts(said.get(2, [])), attributes)


def _read_attribute(content: bytes) -> tuple[str, Attribute]:
    said = _collected(
        content, {1: "one", 2: "one", 3: "one", 4: "one", 7: "any", 8: "any", 20: "one"}, "attribute"
    )
    name, kind = said[1][0].decode(), said[20][0]
    if kind == 1:
        return name, float(said[2][0])
    if kind == 2:
        return name, signed(said[3][0])
    if kind == 3:
        return name, said[4][0].decode()
    if kind == 6:
        return name, [float(value) for value in said.get(7, [])]
    if kind == 7:
        return name, [signed(value) for value in said.get(8, [])]
    raise GraphError(f"its graph has an attribute of type {kind}, which has no place in an extractor")


def _read_tensor(content: bytes) -> tuple[str, Array]:
    said = _collected(content, {1: "any", 2: "one", 8: "one", 9: "one"}, "constant")
    shape = tuple(signed(side) for side in said.get(1, []))
    kind = np.dtype(_NAMES[_known_kind(said[2][0])]).newbyteorder("<")
    if min(shape, default=0) < 0 or prod(shape) * kind.itemsize != len(said[9][0]):
        raise GraphError("its graph has a constant whose shape and bytes do not fit each other")
    values = np.frombuffer(said[9][0], dtype=kind).reshape(shape)
    return said[8][0].decode(), values.astype(kind.newbyteorder("="), copy=False)


def _read_declared(content: bytes) -> tuple[str, Declared]:
    said = _collected(content, {1: "one", 2: "one"}, "input or output")
    kind = _collected(said[2][0], {1: "one"}, "type")
    plain = _collected(kind[1][0], {1: "one", 2: "one"}, "type")
    sides = _collected(plain[2][0], {1: "any"}, "shape").get(1, [])
    shape = tuple(signed(_collected(side, {1: "one"}, "dimension")[1][0]) for side in sides)
    return said[1][0].decode(), Declared(_NAMES[_known_kind(plain[1][0])], shape)


def _known_kind(number: Any) -> int:
    if number not in _NAMES:
        raise GraphError(f"its graph has numbers of ONNX's type {number}; known are {', '.join(KINDS)}")
    return int(number)


_WHERE_REQUIRED = {"model": (7, 8), "opset": (2,), "graph": (2,), "node": (4,), "attribute": (1, 20)}


def _collected(content: Any, known: Mapping[int, str], what: str) -> dict[int, list[Any]]:
    """Return the values of a message by their numbers, which must all be known; "one" at most once."""
    found: dict[int, list[Any]] = {}
    for number, value in fields(content):
        if number not in known:
            raise GraphError(f"its graph has something that has no place in one: field {number} of a {what}")
        if known[number] == "one" and number in found:
            raise GraphError(f"its graph says field {number} of a {what} twice")
        found.setdefault(number, []).append(value)
    required = _WHERE_REQUIRED.get(what, [number for number, often in known.items() if often == "one"])
    for number in required:
        if number not in found:
            raise GraphError(f"its graph lacks field {number} of a {what}")
    return found


def _texts(values: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(value.decode() for value in values)
