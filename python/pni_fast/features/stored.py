"""The extractor of a model as its file has it, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pni_fast.config.tiling import Tiling
from pni_fast.runtime.copies import Values
from pni_fast.runtime.gpu_calls import filled, on_gpu_thread
from pni_fast.runtime.networks import Given
from pni_fast.runtime.run import Run

from .engines.networks import BACKBONE, extractor_ends
from .graphs import NO_GRAPH, GraphNetwork, StoredGraph
from .tiles import TiledExtraction

if TYPE_CHECKING:
    from torch import Tensor

    from .extractor import FeatureExtractor

Extract: TypeAlias = Callable[[Values], Values]
"""Φ, float32 (b, h, w, d), of uint8 crops (b, H, W, 3): arrays on a CPU, tensors on a GPU.

Many threads call it at once; on a CPU it computes on the calling thread alone.
"""

WITHOUT_GRAPH = "scoring with a model that holds no graph of its extractor, as older versions wrote them,"


def extractor_graph_of(
    content: NDArray[np.uint8], shape: tuple[int, int], grid: tuple[int, int], dimension: int
) -> StoredGraph:
    """Return the graph of an extractor.

    Parameters
    ----------
    content
        uint8 (bytes,), of anybody.
    shape
        Height and width of the pictures it must take.
    grid, dimension
        (h, w) and d of the features it must give.
    """
    return StoredGraph(content, *extractor_ends(shape, (*grid, dimension)), BACKBONE)


class StoredExtractor(GraphNetwork["FeatureExtractor"]):
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
    graph, graphless
        As for the class above; of a tile where there are any.
    tiling
        How pictures are cut into tiles; None: they go through in one piece.
    """

    def __init__(
        self,
        name: str,
        patch: int,
        dimension: int,
        build: Callable[[dict[str, Tensor]], FeatureExtractor],
        tensors: Mapping[str, NDArray[Any]],
        graph: StoredGraph | None = None,
        graphless: str = NO_GRAPH.format(what="extractor"),
        tiling: Tiling | None = None,
    ) -> None:
        super().__init__(build, tensors, WITHOUT_GRAPH, graph, graphless)
        self.name, self.patch, self.dimension = name, patch, dimension
        self.tiling = tiling

    @classmethod
    def of(
        cls,
        extractor: FeatureExtractor,
        name: str,
        graph: StoredGraph | None = None,
        graphless: str = NO_GRAPH.format(what="extractor"),
        tiling: Tiling | None = None,
    ) -> StoredExtractor:
        """Return an extractor that is there, with its weights, as one that a model holds."""
        stored = cls(
            *(name, extractor.patch, extractor.dimension, Given(extractor), {}, graph, graphless, tiling)
        )
        stored._take(extractor)
        return stored

    def low(self, run: Run) -> bool:
        """Whether a run has the backbone compute in bfloat16."""
        return run.precision.low_backbone

    def extraction(self, run: Run) -> Extract:
        """Return what runs the extractor, an engine or torch.

        Raises
        ------
        PniError
            What was asked for is not installed, or takes a graph that is not there.
        """
        extract: Extract
        if self.engine(run) == "torch":
            extract = TorchExtraction(self.module(), run)
        else:
            extract = cast("Extract", self.opened(run))  # on a CPU all values are arrays
        return extract if self.tiling is None else TiledExtraction(extract, self.tiling)

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
        self._device, self._precision = run.device, run.precision

    def __call__(self, crops: Values) -> Values:
        """Return the features of crops; see :data:`Extract`."""
        import torch

        pixels = torch.from_numpy(crops) if isinstance(crops, np.ndarray) else crops
        if self._device.type == "cpu":
            return self._features(pixels).numpy()
        return on_gpu_thread(self._device, lambda: self._features(filled(pixels)))[: len(pixels)]

    def _features(self, pixels: Tensor) -> Tensor:
        with self._precision.in_backbone():
            features: Tensor = self._extractor(pixels)
        return features
