"""The extractor of a model as its file has it, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.runtime.copies import Values
from pni_fast.runtime.networks import StoredNetwork
from pni_fast.runtime.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from .extractor import FeatureExtractor

Extract: TypeAlias = Callable[[Values], Values]
"""Φ, float32 (b, h, w, d), of uint8 crops (b, crop, crop, 3): arrays on a CPU, tensors on a GPU.

Many threads call it at once; on a CPU it computes on the calling thread alone.
"""

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
    """

    def __init__(
        self,
        name: str,
        patch: int,
        dimension: int,
        build: Callable[[dict[str, Tensor]], FeatureExtractor],
        tensors: Mapping[str, NDArray[Any]],
        graph: StoredGraph | None = None,
    ) -> None:
        super().__init__(build, tensors, WITHOUT_GRAPH)
        self.name, self.patch, self.dimension, self.graph = name, patch, dimension, graph

    @classmethod
    def of(cls, extractor: FeatureExtractor, name: str, graph: StoredGraph | None = None) -> StoredExtractor:
        """Return an extractor that is there, with its weights, as one that a model holds."""
        stored = cls(name, extractor.patch, extractor.dimension, lambda _: extractor, {}, graph)
        stored._take(extractor)
        return stored

    def extraction(self, run: Run) -> Extract:
        """Return what runs the extractor: on a CPU an engine where its graph is there, else torch.

        Raises
        ------
        PniError
            It takes torch, which is not installed.
        """
        if run.device.type == "cpu" and self.graph is not None:
            engine = engine_of(self, run)
            if engine is not None:
                return engine
        return TorchExtraction(self.module(), run)

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


# Where the engines come in: these two functions are all that knows of them.


def engine_of(extractor: StoredExtractor, run: Run) -> Extract | None:
    """Return the engine that runs the graph of an extractor with its tensors on a CPU, None for torch."""
    del extractor, run
    return None


def asked_by(graph: StoredGraph, dimension: int, shapes: Mapping[str, tuple[int, ...]]) -> set[str] | None:
    """Return the names of the weights that a graph asks for, None where nothing here can read it.

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
    del graph, dimension, shapes
    return None
