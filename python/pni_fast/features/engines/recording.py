"""Run a network on shapes alone and write down what it does as ONNX nodes.

torch.onnx would do this too; it takes two packages more and, for a DenseNet, longer than a fit. A feature
extractor is a few dozen kinds of operations, and every graph is held against torch before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from .building import GraphBuilder
from .call import Call, NoGraphError
from .graph import Array
from .operators import OPERATORS

_CREATES = frozenset({"empty", "empty_strided", "new_empty"})
"""Without values: torch makes room so for what a batch norm would return in training."""


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes a node for every operation on a value of the graph.

    Parameters
    ----------
    graph
        Where the nodes go.
    known
        Tensors that have a name in it already.
    """

    def __init__(self, graph: GraphBuilder, known: Sequence[tuple[Tensor, str]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = graph
        # The tensors are kept, so that none of them hands on its id.
        self._known: dict[int, tuple[Tensor, str | None]] = {
            id(value): (value, name) for value, name in known
        }

    def name(self, value: Any) -> str:
        """Return the graph's name of a tensor, or of a number as a constant.

        Raises
        ------
        NoGraphError
            There is none.
        """
        if not isinstance(value, Tensor):
            return self.graph.constant(float(value), "float32")
        if id(value) not in self._known:
            if value.is_meta:
                raise NoGraphError("a value from nowhere")
            return self.graph.constant(_array(value))
        name = self._known[id(value)][1]
        if name is None:
            raise NoGraphError("a change of a value that others see")
        return name

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do what torch does, on shapes, and write it down."""
        given = _bound(func, args, kwargs or {})
        results = func(*args, **(kwargs or {}))
        operation = func._schema.name.partition("::")[2]
        if not any(id(value) in self._known for value in _tensors(given.values())):
            return results  # numbers that are there before any image; or memory without values
        in_place = operation.endswith("_") and not operation.endswith("__")
        converter = OPERATORS.get(operation[:-1] if in_place else operation)
        if operation in _CREATES:
            return results
        if converter is None:
            raise NoGraphError(f"the operation {operation}")
        made = list(results) if isinstance(results, (tuple, list)) else [results]
        names = converter(Call(self.graph, self.name, given, made))
        if in_place:
            self._forget_others(made[0])
        for value, name in zip(made, [names] if isinstance(names, str) else names, strict=True):
            if isinstance(value, Tensor) and name is not None:
                self._known[id(value)] = (value, name)
        return results

    def _forget_others(self, changed: Tensor) -> None:
        """Take the name from whatever shares memory with a tensor that is changed in place."""
        memory = changed.untyped_storage()._cdata
        for key, (value, _) in self._known.items():
            if value is not changed and value.untyped_storage()._cdata == memory:
                self._known[key] = (value, None)


def record(
    graph: GraphBuilder,
    network: nn.Module,
    inputs: Sequence[tuple[str, tuple[int, ...]]],
    prefix: str,
) -> list[tuple[str, tuple[int, ...]]]:
    """Add a network to a graph and return the names and shapes of what it returns.

    Parameters
    ----------
    graph
        Gets the nodes, and as constants what is no tensor of the network's state.
    network
        In eval mode. It is left as it is, but nobody else may run it meanwhile.
    inputs
        Names in the graph of the float32 arguments, and their shapes.
    prefix
        Put before the names of the network's state in the graph; these tensors stay outside it.

    Raises
    ------
    NoGraphError
        The network does something that has no word here; the message says what.
    """
    state = network.state_dict()
    outlines: dict[str, Tensor] = {}
    known: list[tuple[Tensor, str]] = []
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        outlines[name] = torch.empty_like(value, device="meta")
        if name in state and value.is_floating_point():
            known.append((outlines[name], prefix + name))
        else:
            known.append((outlines[name], graph.constant(_array(value))))
    arguments = tuple(torch.empty(shape, device="meta") for _, shape in inputs)
    known += [(argument, name) for argument, (name, _) in zip(arguments, inputs, strict=True)]
    recorder = _Recorder(graph, known)
    try:
        with torch.no_grad(), recorder:
            results = functional_call(network, outlines, arguments)
    except NoGraphError as error:
        raise NoGraphError(f"{type(network).__name__} cannot be written as a graph: {error}") from None
    except (NotImplementedError, RuntimeError, TypeError, AssertionError) as error:  # shapes are not enough
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise NoGraphError(f"{type(network).__name__} cannot be written as a graph: {reason}") from error
    values = [results] if isinstance(results, Tensor) else list(results)
    return [(recorder.name(value), tuple(value.shape)) for value in values]


def _array(value: Tensor) -> Array:
    array: Array = value.detach().cpu().numpy()
    return array.astype("float32") if value.is_floating_point() else array


def _bound(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an operation by name, with those that were left to their defaults."""
    declared = func._schema.arguments
    given = {item.name: item.default_value for item in declared if item.has_default_value()}
    given |= {item.name: value for item, value in zip(declared, args, strict=False)}
    return given | dict(kwargs)


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _tensors(value)
    return found
