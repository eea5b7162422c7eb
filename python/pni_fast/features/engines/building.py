"""Build a graph node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .graph import Array, Attribute, Declared, Graph, Node


class GraphBuilder:
    """A graph under construction; values are named by texts."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._constants: dict[str, Array] = {}
        self._inputs: dict[str, Declared] = {}
        self._outputs: dict[str, Declared] = {}
        self._count = 0

    def input(self, name: str, kind: str, shape: Sequence[int]) -> str:
        """Declare an input and return its name."""
        self._inputs[name] = Declared(kind, tuple(shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int], kind: str = "float32") -> None:
        """Declare a value as the output `name`."""
        self._nodes.append(Node("Identity", (value,), (name,)))
        self._outputs[name] = Declared(kind, tuple(shape))

    def constant(self, values: ArrayLike, kind: str | None = None) -> str:
        """Return the name of a constant, kept once however often it is asked for."""
        array = np.array(values, dtype=kind, order="C")
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"c{len(self._names)}"
            self._constants[self._names[key]] = array
        return self._names[key]

    def values(self, name: str) -> Array | None:
        """Return the values of a constant; None: the name is no constant's."""
        return self._constants.get(name)

    def node(
        self, operator: str, inputs: Sequence[str], attributes: Mapping[str, Attribute] | None = None
    ) -> str:
        """Add a node with one output and return the output's name."""
        return self.nodes(operator, inputs, 1, attributes)[0]

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> list[str]:
        """Add a node and return the names of its outputs."""
        names = [f"v{self._count + number}" for number in range(outputs)]
        self._count += outputs
        self._nodes.append(Node(operator, tuple(inputs), tuple(names), dict(attributes or {})))
        return names

    def graph(self, name: str) -> Graph:
        """Return what was built, without constants that nothing takes."""
        taken = {value for node in self._nodes for value in node.inputs}
        constants = {key: value for key, value in self._constants.items() if key in taken}
        return Graph(name, tuple(self._nodes), constants, self._inputs, self._outputs)
