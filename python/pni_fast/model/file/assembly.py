"""From what a model file says to a fitted model: first as shapes alone, then with its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.config.geometry import AUTO_SIZE
from pni_fast.config.mlp import HIGHEST, LOWEST_TEMPERATURE
from pni_fast.distribution.conditions import chosen, possible
from pni_fast.distribution.context import Context
from pni_fast.distribution.distribution import Distribution, distribution_size
from pni_fast.errors import PniError
from pni_fast.features.graphs import StoredGraph
from pni_fast.features.stored import StoredExtractor, extractor_graph_of
from pni_fast.model.fitted import Fitted
from pni_fast.refinement.stored import StoredRefiner, refiner_graph_of
from pni_fast.runtime.networks import StoredNetwork
from pni_fast.runtime.tensor_values import Place, not_finite

from .conditions import read_gate, read_trials
from .header import short
from .shapes import expected_networks, seen_grid

if TYPE_CHECKING:
    from pni_fast.distribution.neighborhood import NeighborhoodMLP

CONTEXT_TENSORS = ("labels", "descriptors", "center", "spread")
"""Fields of a :class:`Context` that are tensors of a model file, each with the prefix ``context.``."""

GRAPHS = {"backbone": "engine.graph", "refiner": "engine.refiner"}
"""By part, the tensor that is its ONNX graph without weights, in files that have one."""


class Outline:
    """One member of a model file before its tensors are read.

    Everything is compared with what the file's table has: a file can have no more memory taken than it brings
    bytes.

    Parameters
    ----------
    config
        The member's settings, which have checked themselves.
    n_images, values
        What the file says of the fit and of this member.
    places
        The table's tensors of this member, without its prefix.
    graphs
        By part, bytes of the graphs that the file has.

    Attributes
    ----------
    names : set of str
        The tensors the member is made of.

    Raises
    ------
    PniError
        Something is missing, of another type or out of its range, or shapes do not fit.
    """

    def __init__(
        self,
        config: Config,
        n_images: Any,
        values: Mapping[str, Any],
        places: Mapping[str, Place],
        graphs: Mapping[str, NDArray[np.uint8]],
    ) -> None:
        self.config = config
        self.n_images = n_images
        self.values = values
        rows, columns = _shape(places, "coreset", 2)
        self.n_classes = distribution_size(rows, config.distribution_size)
        self.grid = tuple(_numbers(values, "grid", int))
        if config.size == AUTO_SIZE:
            raise PniError(f"size must be decided in a model, got {config.size}")
        self.graphs: dict[str, StoredGraph] = {}
        if "backbone" in graphs:
            grid = seen_grid(config, self.grid)
            self.graphs["backbone"] = extractor_graph_of(graphs["backbone"], config.seen, grid, columns)
        if "refiner" in graphs and config.refinement:
            self.graphs["refiner"] = refiner_graph_of(graphs["refiner"], config.geometry.shape)
        networks = expected_networks(config, columns, self.n_classes, self.graphs, places)
        self.dimension = columns if networks.dimension is None else networks.dimension
        networks.check_grid(self.grid)
        self.networks = networks
        self.gate = read_gate(values.get("gate"))
        # Files older than the gate's record: a histogram that the penalty rule lacks was dropped.
        unrecorded = "gate" not in values and config.position_gate and "position" not in places
        dropped = unrecorded if self.gate is None else not self.gate.kept
        self.position = config.position and not dropped
        self.weight, self.trials, self.context = 1.0, None, False
        if RULES[config.rule].tried:
            self.weight = _number("weight", values.get("weight"))
            self.trials = read_trials(values.get("trials"))
            condition = chosen(config, self.trials).condition
            if condition not in ("none", *possible(config)):
                raise PniError(f"trials chose {condition}, which is switched off")
            self.context, self.position = condition == "context", condition == "position"

        tables = {
            "coreset": Place("float32", (rows, self.dimension)),
            "groups": Place("int64", (rows,)),
        }
        if self.position:
            tables["position"] = Place("float32", (*self.grid, self.n_classes))
        if self.context:
            count = _shape(places, "context.labels", 3)[0]
            tables |= {
                "context.labels": Place("uint16", (count, *self.grid)),
                "context.descriptors": Place("float32", (count, self.dimension)),
                "context.center": Place("float32", (self.dimension,)),
                "context.spread": Place("float32", (self.dimension,)),
            }
        for part, told in networks.tensors.items():
            there = {name: place for name, place in places.items() if name.startswith(f"{part}.")}
            tables |= there if told is None else told
        for name, table in tables.items():
            _compare(places, name, table)
        self.names = set(tables) | {GRAPHS[part] for part in self.graphs}

    def filled(self, tensors: Mapping[str, NDArray[Any]]) -> Fitted:
        """Return the member with its tensors, which become parts of it where that is possible.

        Raises
        ------
        PniError
            A value cannot be worked with.
        """
        _check_values({name: tensors[name] for name in self.names})

        def state(part: str) -> dict[str, NDArray[Any]]:
            prefix = f"{part}."
            return {name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)}

        (backbone,) = self.config.backbones
        extractor = StoredExtractor(
            backbone,
            self.config.patch,
            self.dimension,
            self.networks.build_extractor,
            state("backbone"),
            self.graphs.get("backbone"),
            tiling=self.config.tiling,
        )
        neighborhood: StoredNetwork[NeighborhoodMLP] | None = None
        refiner: StoredRefiner | None = None
        if self.config.neighborhood:
            neighborhood = StoredNetwork(
                self.networks.build_neighborhood, state("neighborhood"), "a model with a neighborhood MLP"
            )
        if self.config.refinement:
            refiner = StoredRefiner(
                self.config.refiner.ratio,
                self.networks.build_refiner,
                state("refiner"),
                self.graphs.get("refiner"),
            )
        return Fitted(
            config=self.config,
            weights_source=_text(self.values, "weights_source"),
            extractor=extractor,
            grid=(self.grid[0], self.grid[1]),
            distribution=Distribution(
                coreset=tensors["coreset"],
                groups=tensors["groups"],
                n_classes=self.n_classes,
                position=tensors["position"] if self.position else None,
                neighborhood=neighborhood,
                scale=_number("scale", self.values.get("scale", 1.0)),
                gate=self.gate,
                context=self._context(tensors) if self.context else None,
                weight=self.weight,
                trials=self.trials,
            ),
            n_images=self.n_images,
            normalization=_pair(self.values, "normalization"),
            refiner=refiner,
            refiner_range=_pair(self.values, "refiner_range"),
            engine=_text(self.values, "engine") if "engine" in self.values else None,
        )

    def _context(self, tensors: Mapping[str, NDArray[Any]]) -> Context:
        names = self.values.get("context_names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise PniError(f"context_names must be names, got {short(names)}")
        return Context(
            **{name: tensors[f"context.{name}"] for name in CONTEXT_TENSORS},
            images=self.config.context.images,
            window=self.config.neighborhood_size,
            n_classes=self.n_classes,
            names=tuple(names),
        )


def _check_values(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse numbers under which a network gives no number."""
    name = not_finite(tensors)
    if name is not None:
        raise PniError(f"tensor {name!r} holds values that are not finite")
    for name, tensor in tensors.items():
        if name.endswith(".running_var") and tensor.size and tensor.min() < 0:
            raise PniError(f"tensor {name!r} must hold variances, got {float(tensor.min())}")
        if (
            name == "neighborhood.temperature"
            and not LOWEST_TEMPERATURE <= float(tensor) <= HIGHEST["temperature"]
        ):
            raise PniError(f"tensor {name!r} must be from {LOWEST_TEMPERATURE} up, got {float(tensor)}")


def _shape(places: Mapping[str, Place], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in places:
        raise PniError(f"tensor {name!r} is missing")
    shape = places[name].shape
    if len(shape) != dimensions or 0 in shape:
        raise PniError(
            f"tensor {name!r} must have {dimensions} dimensions, none of them empty, got shape {shape}"
        )
    return shape


def _compare(places: Mapping[str, Place], name: str, expected: Place) -> None:
    if name not in places:
        raise PniError(f"tensor {name!r} is missing")
    place = places[name]
    if place.shape != expected.shape or place.dtype != expected.dtype:
        raise PniError(
            f"tensor {name!r} must have shape {expected.shape} of {expected.dtype}, "
            f"got {place.shape} of {place.dtype}"
        )


def _text(values: Mapping[str, Any], name: str) -> str:
    text = values[name]
    if not isinstance(text, str):
        raise PniError(f"{name} must be a text, got {short(text)}")
    return text


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        raise PniError(f"{name} must be a number, got {short(value)}")
    return float(value)


def _numbers(values: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    said = values[name]
    numbers = isinstance(said, list) and all(type(value) in (int, kind) for value in said)
    if not numbers or len(said) != 2:
        raise PniError(f"{name} must be two numbers, got {short(said)}")
    return list(said)


def _pair(values: Mapping[str, Any], name: str) -> tuple[float, float]:
    first, second = (_number(name, value) for value in _numbers(values, name, float))
    return first, second
