"""The extractor of a model as its file has it, and what runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, PniError
from pni_fast.runtime.copies import Values
from pni_fast.runtime.networks import StoredNetwork
from pni_fast.runtime.run import Run

from .engines.choose import choose_engine, open_engine
from .engines.extractor import PREFIX, asked_weights, whole_model

if TYPE_CHECKING:
    from torch import Tensor

    from .extractor import FeatureExtractor

Extract: TypeAlias = Callable[[Values], Values]
"""Φ, float32 (b, h, w, d), of uint8 crops (b, crop, crop, 3): arrays on a CPU, tensors on a GPU.

Many threads call it at once; on a CPU it computes on the calling thread alone.
"""

NO_GRAPH = "the model file holds no graph of its extractor, as older versions wrote them"

WITHOUT_GRAPH = "scoring with a model that holds no graph of its extractor, as older versions wrote them,"


@dataclass(frozen=True, eq=False)
class StoredGraph:
    """An extractor as an ONNX graph without weights; it asks for them by their names in a model file.

    Parameters
    ----------
    content
        uint8 (bytes,).
    crop
        Side of the crops it takes.
    grid
        (h, w) of the features it gives.
    """

    content: NDArray[np.uint8]
    crop: int
    grid: tuple[int, int]


class StoredExtractor(StoredNetwork["FeatureExtractor"]):
    """Backbone and patch aggregation of a model.

    Parameters
    ----------
    name
        The backbone, as timm names it.
    patch
        Side of the averaging window.
    dimension
        d, the length of a feature vector.
    build
        Makes the extractor of the backbone's tensors.
    tensors
        Of the backbone.
    graph
        What an engine runs; None: the model has none.
    graphless
        Why it has none, in words.
    """

    def __init__(
        self,
        name: str,
        patch: int,
        dimension: int,
        build: Callable[[dict[str, Tensor]], FeatureExtractor],
        tensors: Mapping[str, NDArray[Any]],
        graph: StoredGraph | None = None,
        graphless: str = NO_GRAPH,
    ) -> None:
        super().__init__(build, tensors, WITHOUT_GRAPH)
        self.name, self.patch, self.dimension, self.graph = name, patch, dimension, graph
        self.graphless = graphless
        self._engines: dict[tuple[str, bool, int], Extract] = {}
        self._compiling = threading.Lock()

    @classmethod
    def of(
        cls,
        extractor: FeatureExtractor,
        name: str,
        graph: StoredGraph | None = None,
        graphless: str = NO_GRAPH,
    ) -> StoredExtractor:
        """Return an extractor that is there, with its weights, as one that a model holds."""
        stored = cls(name, extractor.patch, extractor.dimension, lambda _: extractor, {}, graph, graphless)
        stored._take(extractor)
        return stored

    def extraction(self, run: Run) -> Extract:
        """Return what runs the extractor, an engine or torch.

        Raises
        ------
        PniError
            What was asked for is not installed, or takes a graph that is not there.
        """
        name = self.engine(run)
        if name == "torch":
            return TorchExtraction(self.module(), run)
        kind = name, run.precision.low_backbone, run.threads
        with self._compiling:
            if kind not in self._engines:
                self._engines[kind] = self._opened(name, run)
            return self._engines[kind]

    def engine(self, run: Run) -> str:
        """Return the name of the engine that :meth:`extraction` takes.

        Parameters
        ----------
        run
            Its engine may be ``"auto"``: without a graph that is torch, as with bfloat16, which an engine
            computes in only where that is asked for by its name.

        Raises
        ------
        PniError
            As for :meth:`extraction`.
        """
        if run.engine == "auto" and (self.graph is None or run.precision.low_backbone):
            return "torch"
        name = choose_engine(run.engine, run.device.type)
        if name != "torch" and self.graph is None:
            raise PniError(f"engine {name} asked for, but {self.graphless}; use engine torch or auto")
        return name

    def _opened(self, name: str, run: Run) -> Extract:
        assert self.graph is not None  # else it is torch's
        model = whole_model(
            self.graph.content.tobytes(),
            {PREFIX + name: array for name, array in self.tensors().items()},
            (self.graph.crop, self.graph.crop),
            (*self.graph.grid, self.dimension),
        )
        precision = "bf16" if run.precision.low_backbone else "fp32"
        return open_engine(name, model, threads=run.threads, precision=precision)

    def _state(self, network: FeatureExtractor) -> Mapping[str, Tensor]:
        state: Mapping[str, Tensor] = network.backbone.state_dict()
        return state


class TorchExtraction:
    """An extractor run by torch, on the device of a run and in its precision.

    Parameters
    ----------
    extractor
        The network.
    run
        Where and in what it computes.
    """

    name = "torch"

    def __init__(self, extractor: FeatureExtractor, run: Run) -> None:
        self._extractor = extractor.to(run.device.torch)
        self._on_cpu = run.device.type == "cpu"
        self._precision = run.precision

    def __call__(self, crops: Values) -> Values:
        """Return the features of crops; see :data:`Extract`."""
        import torch

        pixels = torch.from_numpy(crops) if isinstance(crops, np.ndarray) else crops
        with self._precision.in_backbone():
            features: Tensor = self._extractor(pixels)
        return features.numpy() if self._on_cpu else features


def asked_by(graph: StoredGraph, dimension: int, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Return the names of the weights that a graph asks for.

    Parameters
    ----------
    graph
        Of anybody.
    dimension
        d of the features it must give.
    shapes
        Of the float32 tensors of the backbone in the file, by their names there.

    Raises
    ------
    PniError
        The graph is none, or asks for what is not there.
    """
    content, crop = graph.content.tobytes(), (graph.crop, graph.crop)
    try:
        return set(asked_weights(content, shapes, crop, (*graph.grid, dimension)))
    except ModelFileError as error:
        raise PniError(str(error)) from error
