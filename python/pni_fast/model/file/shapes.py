"""Of which tensors the networks of a model file are made, and the networks built of them.

A file with a graph of its extractor says that in the graph. Otherwise the network is built by torch on the
device ``"meta"``, which has names and shapes and no memory. Where torch is not installed, what the file has
is taken as it is, and is compared when a network is built from it: without torch none ever is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from pni_fast.config import Config
from pni_fast.config.checks import check_network_name
from pni_fast.config.geometry import size_text
from pni_fast.errors import PniError, is_there
from pni_fast.features.engines.networks import BACKBONE
from pni_fast.features.graphs import StoredGraph
from pni_fast.runtime.tensor_values import Place, place_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pni_fast.distribution.neighborhood import NeighborhoodMLP
    from pni_fast.features.extractor import FeatureExtractor
    from pni_fast.refinement import RefinementNetwork

Network = TypeVar("Network", bound="nn.Module")

COUNTED = ".num_batches_tracked"


class Networks:
    """The networks of a member of a model file: what they are made of, and how.

    Parameters
    ----------
    config
        The member's settings.
    columns
        Of its coreset.
    n_classes
        |C_dist|.

    Attributes
    ----------
    tensors : dict of str to (dict of str to Place, or None)
        By part, the tensors it is made of with the part before their names; None: those the file has.
    dimension : int or None
        d of the extractor; None where only the coreset tells it.
    """

    def __init__(self, config: Config, columns: int, n_classes: int) -> None:
        self.config = config
        self.columns, self.n_classes = columns, n_classes
        self.tensors: dict[str, dict[str, Place] | None] = {"backbone": None}
        if config.neighborhood:
            self.tensors["neighborhood"] = None
        if config.refinement:
            self.tensors["refiner"] = None
        self.dimension: int | None = None

    def check_grid(self, grid: tuple[int, ...]) -> None:
        """Refuse a grid that is not what the backbone makes of a picture, where that is known.

        Raises
        ------
        PniError
            It is another.
        """

    def build_extractor(self, state: dict[str, Tensor]) -> FeatureExtractor:
        """Return the extractor with the tensors of its backbone."""
        from pni_fast.features.backbones import backbone_of

        extractor, whole = _outlined(self.config, state)
        extractor.backbone = filled(extractor.backbone, lambda: backbone_of(self.config, whole=whole), state)
        return extractor

    def build_neighborhood(self, state: dict[str, Tensor]) -> NeighborhoodMLP:
        """Return the MLP with its tensors."""
        return _built(self._new_neighborhood, state)

    def build_refiner(self, state: dict[str, Tensor]) -> RefinementNetwork:
        """Return the refiner with its tensors."""
        return _built(self._new_refiner, state)

    def _beside_the_extractor(self) -> dict[str, dict[str, Place] | None]:
        """Return what the other networks are made of, as torch tells."""
        from pni_fast.features.families import shapes_alone

        found: dict[str, dict[str, Place] | None] = {}
        with shapes_alone():
            if self.config.neighborhood:
                found["neighborhood"] = _places("neighborhood", self._new_neighborhood())
            if self.config.refinement:
                found["refiner"] = _places("refiner", self._new_refiner())
        return found

    def _new_neighborhood(self) -> NeighborhoodMLP:
        from pni_fast.distribution.neighborhood import NeighborhoodMLP

        config = self.config
        return NeighborhoodMLP(self.columns, self.n_classes, config.neighborhood_size, config.mlp)

    def _new_refiner(self) -> RefinementNetwork:
        from pni_fast.refinement import RefinementNetwork

        return RefinementNetwork(self.config.refiner)


def seen_grid(config: Config, grid: tuple[int, ...]) -> tuple[int, int]:
    """Return the (h, w) that a picture's grid has in what the backbone sees at once, a tile perhaps.

    Raises
    ------
    PniError
        A tile is no whole number of patches.
    """
    sides = [
        count * part / whole
        for count, part, whole in zip(grid, config.seen, config.geometry.shape, strict=True)
    ]
    if not all(side.is_integer() for side in sides):
        raise PniError(f"grid must have whole patches in a tile of {size_text(config.seen)}, got {grid}")
    return int(sides[0]), int(sides[1])


class BuiltNetworks(Networks):
    """Networks whose tensors torch tells, for files without a graph."""

    def __init__(self, config: Config, columns: int, n_classes: int, places: Collection[str]) -> None:
        super().__init__(config, columns, n_classes)
        from pni_fast.features.backbones import stride

        own = [name[len(BACKBONE) :] for name in places if name.startswith(BACKBONE)]
        self._extractor, _ = _outlined(config, own)
        self._stride = stride(self._extractor.backbone)
        self.dimension = self._extractor.dimension
        self.tensors["backbone"] = _places("backbone", self._extractor.backbone)
        self.tensors |= self._beside_the_extractor()

    def check_grid(self, grid: tuple[int, ...]) -> None:
        """Refuse a grid that is not what the backbone makes of a picture."""
        import torch

        shape, grid = self.config.seen, seen_grid(self.config, grid)
        if grid == tuple(-(-side // self._stride) for side in shape):
            return
        # A few networks do not pad: ask this one, by shapes alone.
        with torch.inference_mode():
            levels = self._extractor.backbone(torch.empty(1, 3, *shape, device="meta"))
        expected = tuple(max(level.shape[axis] for level in levels) for axis in (2, 3))
        if grid != expected:
            raise PniError(f"grid must be {expected} at a size of {size_text(shape)}, got {grid}")


class GraphNetworks(Networks):
    """Networks whose backbone's tensors its graph tells, without torch where there is no other network."""

    def __init__(
        self,
        config: Config,
        columns: int,
        n_classes: int,
        graphs: Mapping[str, StoredGraph],
        places: Mapping[str, Place],
    ) -> None:
        super().__init__(config, columns, n_classes)
        (name,) = config.backbones
        check_network_name(name, "backbone")
        told = {part: _told(graph, places) for part, graph in graphs.items()}
        if is_there("torch") and (config.neighborhood or (config.refinement and "refiner" not in graphs)):
            self.tensors |= self._beside_the_extractor()
        self.tensors |= told


def _told(graph: StoredGraph, places: Mapping[str, Place]) -> dict[str, Place]:
    """Return the tensors of a file that a network is made of, as its graph tells."""
    there = {name: place for name, place in places.items() if name.startswith(graph.prefix)}
    asked = graph.asked({name: place.shape for name, place in there.items() if place.dtype == "float32"})
    # Batch norms count their batches in training: torch keeps that, and no graph asks for it.
    counts = {
        name
        for name, place in there.items()
        if name.endswith(COUNTED) and (place.dtype, place.shape) == ("int64", ())
    }
    return {name: there[name] for name in sorted(asked | counts)}


def expected_networks(
    config: Config,
    columns: int,
    n_classes: int,
    graphs: Mapping[str, StoredGraph],
    places: Mapping[str, Place],
) -> Networks:
    """Return the networks of a member.

    Parameters
    ----------
    config, columns, n_classes
        As for :class:`Networks`.
    graphs
        By part; without that of the extractor none counts.
    places
        The file's tensors of the member.

    Raises
    ------
    PniError
        A network is not known, or the graph is none.
    """
    if "backbone" in graphs:
        return GraphNetworks(config, columns, n_classes, graphs, places)
    if is_there("torch"):
        return BuiltNetworks(config, columns, n_classes, places)
    return Networks(config, columns, n_classes)


def _outlined(config: Config, names: Iterable[str]) -> tuple[FeatureExtractor, bool]:
    """Return an extractor without memory, and whether its backbone is whole.

    That it is where a file has tensors, of these names, of stages behind the last level used, as those of
    older versions do.
    """
    from pni_fast.features.backbones import backbone_of, extractor_of

    extractor = extractor_of(config, outline=True)
    whole = not extractor.backbone.state_dict().keys() >= set(names)
    if whole:
        extractor.backbone = backbone_of(config, outline=True, whole=True)
    return extractor, whole


def _places(part: str, network: nn.Module) -> dict[str, Place]:
    return {f"{part}.{name}": place_of(tensor) for name, tensor in network.state_dict().items()}


def _built(build: Callable[[], Network], state: dict[str, Tensor]) -> Network:
    from pni_fast.features.families import shapes_alone

    with shapes_alone():
        outline = build()
    return filled(outline, build, state)


def filled(network: Network, build: Callable[[], Network], state: dict[str, Tensor]) -> Network:
    """Return a network with its tensors, ready to score.

    One without memory takes the tensors as its own. Where it holds more than a file does (tables made from
    its shape, not saved), it is built once more.
    """
    if _has_more_than(network, state):
        from pni_fast.features.families import without_values

        with without_values():
            network = build()
        network.load_state_dict(state)
    else:
        network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _has_more_than(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether a network on the device ``"meta"`` would be left with tensors that have no memory."""
    import torch

    beside = [
        value
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor)
    ]
    beside += [buffer for name, buffer in network.named_buffers() if name not in state]
    return any(value.is_meta for value in beside)
