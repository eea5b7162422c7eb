"""A network of a model with its ONNX graph: run by an engine, or by torch once somebody asks for that."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, PniError
from pni_fast.runtime.networks import StoredNetwork
from pni_fast.runtime.run import Run

from .engines.choose import choose_engine, open_engine
from .engines.engine import Engine
from .engines.graph import Declared
from .engines.networks import asked_weights, whole_model

if TYPE_CHECKING:
    from torch import Tensor, nn

N = TypeVar("N", bound="nn.Module")

NO_GRAPH = "the model file holds no graph of its {what}, as older versions wrote them"


@dataclass(frozen=True, eq=False)
class StoredGraph:
    """A network as an ONNX graph without weights; it asks for them by their names in a model file.

    Parameters
    ----------
    content
        uint8 (bytes,).
    inputs, outputs
        What it must take and give.
    prefix
        Of the names of its weights.
    """

    content: NDArray[np.uint8]
    inputs: Mapping[str, Declared]
    outputs: Mapping[str, Declared]
    prefix: str

    def asked(self, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
        """Return the names of the weights it asks for; the graph may be anybody's.

        Parameters
        ----------
        shapes
            Of the float32 tensors in the file, by their names there.

        Raises
        ------
        PniError
            It is no graph of such a network, or asks for what is not there.
        """
        try:
            return set(asked_weights(self.content.tobytes(), shapes, self.inputs, self.outputs))
        except ModelFileError as error:  # it does not know of which file it is; whoever reads that does
            raise PniError(f"its graph does not fit its crop, grid and coreset: {error}") from error


class GraphNetwork(StoredNetwork[N]):
    """A :class:`.StoredNetwork` that may have a graph.

    Parameters
    ----------
    build, tensors, what
        As for the class above.
    graph
        What an engine runs; None: the model has none.
    graphless
        Why it has none, in words.
    """

    def __init__(
        self,
        build: Callable[[dict[str, Tensor]], N],
        tensors: Mapping[str, NDArray[Any]],
        what: str,
        graph: StoredGraph | None,
        graphless: str,
    ) -> None:
        super().__init__(build, tensors, what)
        self.graph, self.graphless = graph, graphless
        self._engines: dict[tuple[str, bool, int], Engine] = {}
        self._compiling = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: engines belong to this process, and are opened anew in another."""
        state = {**super().__getstate__(), "_engines": {}}
        del state["_compiling"]
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take that in."""
        super().__setstate__(state)
        self._compiling = threading.Lock()

    @abstractmethod
    def low(self, run: Run) -> bool:
        """Whether a run has this network compute in bfloat16."""

    def engine(self, run: Run) -> str:
        """Return the name of what computes in a run.

        Parameters
        ----------
        run
            Its engine may be ``"auto"``: without a graph that is torch, as with bfloat16, which an engine
            computes in only where that is asked for by its name.

        Raises
        ------
        PniError
            What was asked for is not installed, or takes a graph that is not there.
        """
        if run.engine == "auto" and (self.graph is None or self.low(run)):
            return "torch"
        name = choose_engine(run.engine, run.device.type)
        if name != "torch" and self.graph is None:
            raise PniError(f"engine {name} asked for, but {self.graphless}; use engine torch or auto")
        return name

    def opened(self, run: Run) -> Engine:
        """Return the engine that a run takes, which is not torch; the same one at each call."""
        graph = self.graph
        assert graph is not None  # else it is torch's
        name, low = self.engine(run), self.low(run)
        kind = name, low, run.threads
        with self._compiling:
            if kind not in self._engines:
                named = {graph.prefix + part: array for part, array in self.tensors().items()}
                model = whole_model(graph.content.tobytes(), named, graph.inputs, graph.outputs)
                precision = "bf16" if low else "fp32"
                self._engines[kind] = open_engine(name, model, threads=run.threads, precision=precision)
            return self._engines[kind]
