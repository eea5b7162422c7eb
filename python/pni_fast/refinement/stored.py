"""The refinement network of a model as its file has it, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pni_fast.features.engines.networks import REFINER, refiner_ends
from pni_fast.features.graphs import NO_GRAPH, GraphNetwork, StoredGraph
from pni_fast.runtime.copies import on_device, to_host
from pni_fast.runtime.gpu_calls import filled, on_gpu_thread
from pni_fast.runtime.networks import Given
from pni_fast.runtime.run import Run

from .fusion import fuse

if TYPE_CHECKING:
    from torch import Tensor

    from .network import RefinementNetwork

Fused: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""Final maps, float32 (b, H, W), of crops, uint8 (b, H, W, 3), and their normalised maps Â, (b, H, W)."""


def refiner_graph_of(content: NDArray[np.uint8], shape: tuple[int, int]) -> StoredGraph:
    """Return the graph of a refiner.

    Parameters
    ----------
    content
        uint8 (bytes,), of anybody.
    shape
        Height and width of the pictures and maps it must take.
    """
    return StoredGraph(content, *refiner_ends(shape), REFINER)


class StoredRefiner(GraphNetwork["RefinementNetwork"]):
    """The refinement network of a model.

    Parameters
    ----------
    ratio
        Share of the refined map in the final one.
    build
        Makes the network of its tensors.
    tensors
        Of the network.
    graph, graphless
        As for the class above.
    """

    def __init__(
        self,
        ratio: float,
        build: Callable[[dict[str, Tensor]], RefinementNetwork],
        tensors: Mapping[str, NDArray[Any]],
        graph: StoredGraph | None = None,
        graphless: str = NO_GRAPH.format(what="refinement network"),
    ) -> None:
        super().__init__(build, tensors, "a model with a refinement network", graph, graphless)
        self.ratio = ratio

    @classmethod
    def of(
        cls,
        network: RefinementNetwork,
        graph: StoredGraph | None = None,
        graphless: str = NO_GRAPH.format(what="refinement network"),
    ) -> StoredRefiner:
        """Return a network that is there as one that a model holds."""
        stored = cls(network.config.ratio, Given(network), {}, graph, graphless)
        stored._take(network)
        return stored

    def low(self, run: Run) -> bool:
        """Whether a run has the refiner compute in bfloat16."""
        return run.precision.low_networks

    def fused(self, run: Run) -> Fused:
        """Return what refines maps and fuses them, by an engine or by torch.

        Raises
        ------
        PniError
            What was asked for is not installed, or takes a graph that is not there.
        """
        if self.engine(run) == "torch":
            network = self.on(run.device)
            if run.device.type == "cpu":
                return lambda crops, maps: network.fused(crops, maps, run.precision)
            return lambda crops, maps: fuse(_refined(network, crops, maps, run), maps, self.ratio)
        engine = self.opened(run)
        return lambda crops, maps: fuse(engine(crops, maps), maps, self.ratio)


def _refined(
    network: RefinementNetwork, crops: NDArray[np.uint8], maps: NDArray[np.float32], run: Run
) -> NDArray[np.float32]:
    """Return Ã of crops and normalised maps, refined on a GPU."""
    pixels, given = (cast("Tensor", on_device(values, run.device)) for values in (crops, maps))
    found = on_gpu_thread(run.device, lambda: network.refined(filled(pixels), filled(given), run.precision))
    return to_host(found[: len(crops)])[0]
