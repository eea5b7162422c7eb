"""Build an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .wire import message

Attribute: TypeAlias = "int | float | str | Sequence[int] | Sequence[float]"

OPSET, IR = 17, 8
"""Old enough for every runtime of the last years; all that an extractor needs is in it."""

PRODUCER = "pni-fast"

KINDS = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9}
"""ONNX's number of each type that a graph may hold."""


class GraphBuilder:
    """A graph under construction; values are named by texts.

    Parameters
    ----------
    name
        Of the graph.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._count = 0

    def input(self, name: str, dtype: str, shape: Sequence[int]) -> str:
        """Declare an input and return its name."""
        self._inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, value: str, name: str, dtype: str, shape: Sequence[int]) -> None:
        """Declare a value as the output `name`."""
        self.node("Identity", [value], name=name)
        self._outputs.append(_value_info(name, dtype, shape))

    def constant(self, values: ArrayLike, dtype: str | None = None) -> str:
        """Return the name of a constant, kept once however often it is asked for."""
        array = np.ascontiguousarray(values, dtype=dtype).reshape(np.shape(values))
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"c{len(self._constants)}"
            self._initializers.append(tensor(self._constants[key], array))
        return self._constants[key]

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        attributes: Mapping[str, Attribute] | None = None,
        *,
        name: str | None = None,
    ) -> str:
        """Add a node with one output and return the output's name."""
        return self.nodes(operator, inputs, 1, attributes, name=name)[0]

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        name: str | None = None,
    ) -> list[str]:
        """Add a node and return the names of its outputs."""
        names = [name or f"v{self._count + number}" for number in range(outputs)]
        self._count += outputs
        said = [_attribute(key, value) for key, value in (attributes or {}).items()]
        self._nodes.append(message((1, list(inputs)), (2, names), (4, operator), (5, said)))
        return names

    def bytes(self, metadata: Mapping[str, str] | None = None, version: str = "") -> bytes:
        """Return the model, ONNX's ModelProto."""
        graph = message(
            (1, self._nodes),
            (2, self._name),
            (5, self._initializers),
            (11, self._inputs),
            (12, self._outputs),
        )
        entries = [message((1, key), (2, value)) for key, value in (metadata or {}).items()]
        return message(
            (1, IR),
            (2, PRODUCER),
            *([(3, version)] if version else []),
            (7, graph),
            (8, message((1, ""), (2, OPSET))),
            (14, entries),
        )


def tensor(name: str, values: NDArray[np.generic]) -> bytes:
    """Return ONNX's TensorProto of an array."""
    content = np.ascontiguousarray(values)
    return message(
        (1, [int(side) for side in values.shape]),
        (2, KINDS[values.dtype.name]),
        (8, name),
        (9, content.astype(content.dtype.newbyteorder("<"), copy=False).tobytes()),
    )


def with_tensors(graph: bytes, tensors: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return a model with these initializers added: what lies behind an encoded message is merged into it."""
    return b"".join([graph, *(message((7, message((5, tensor(*item))))) for item in tensors.items())])


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value, (bool, int)):
        return message((1, name), (3, int(value)), (20, 2))
    if isinstance(value, float):
        return message((1, name), (2, value), (20, 1))
    if all(isinstance(item, int) for item in value):
        return message((1, name), (8, [int(item) for item in value]), (20, 7))
    return message((1, name), (7, [float(item) for item in value]), (20, 6))


def _value_info(name: str, dtype: str, shape: Sequence[int]) -> bytes:
    dimensions = message((1, [message((1, int(side))) for side in shape]))
    return message((1, name), (2, message((1, message((1, KINDS[dtype]), (2, dimensions))))))
