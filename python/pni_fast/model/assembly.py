"""From what a model file says to a fitted model: first as shapes alone, then with its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from pni_fast.config import RULES, Config
from pni_fast.config.mlp import HIGHEST, LOWEST_TEMPERATURE
from pni_fast.distribution.conditions import chosen, possible
from pni_fast.distribution.context import Context
from pni_fast.distribution.distribution import Distribution, distribution_size
from pni_fast.distribution.neighborhood import NeighborhoodMLP
from pni_fast.errors import PniError
from pni_fast.features.backbones import STRIDES, build_backbone, build_extractor, shapes_alone
from pni_fast.refinement import RefinementNetwork
from pni_fast.runtime.tensor_file import Place, not_finite

from .fitted import Fitted
from .header import short
from .recorded import read_gate, read_trials

CONTEXT_TENSORS = ("labels", "descriptors", "center", "spread")
"""Fields of a :class:`Context` that are tensors of a model file, each with the prefix ``context.``."""

Network = TypeVar("Network", bound=nn.Module)


class Outline:
    """One member of a model file before its tensors are read.

    Its networks are built on the device ``"meta"``, which has names and shapes and no memory, and everything
    is compared with what the file's table has: a file can have no more memory taken than it brings bytes.

    Parameters
    ----------
    config
        The member's settings, which have checked themselves.
    n_images, values
        What the file says of the fit and of this member.
    places
        The table's tensors of this member, without its prefix.

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
        self, config: Config, n_images: Any, values: Mapping[str, Any], places: Mapping[str, Place]
    ) -> None:
        self.config = config
        self.n_images = n_images
        self.values = values
        (backbone,) = config.backbones
        rows, columns = _shape(places, "coreset", 2)
        self.n_classes = distribution_size(rows, config.distribution_size)
        self.grid = tuple(_numbers(values, "grid", int))
        self.extractor = build_extractor(backbone, config.patch, config.dimension, outline=True)
        self._check_grid()
        with shapes_alone():
            self.neighborhood = self._build_neighborhood(columns) if config.neighborhood else None
            self.refiner = self._build_refiner() if config.refinement else None
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
            "coreset": Place(torch.float32, (rows, self.extractor.dimension), 0, 0),
            "groups": Place(torch.int64, (rows,), 0, 0),
        }
        if self.position:
            tables["position"] = Place(torch.float32, (*self.grid, self.n_classes), 0, 0)
        if self.context:
            count, wide = _shape(places, "context.labels", 3)[0], self.extractor.dimension
            tables |= {
                "context.labels": Place(torch.uint16, (count, *self.grid), 0, 0),
                "context.descriptors": Place(torch.float32, (count, wide), 0, 0),
                "context.center": Place(torch.float32, (wide,), 0, 0),
                "context.spread": Place(torch.float32, (wide,), 0, 0),
            }
        for name, table in tables.items():
            _compare(places, name, table.shape, table.dtype)
        self.names = set(tables)
        for part, network in self._networks():
            for name, tensor in network.state_dict().items():
                _compare(places, f"{part}.{name}", tuple(tensor.shape), tensor.dtype)
                self.names.add(f"{part}.{name}")

    def _build_neighborhood(self, dimension: int) -> NeighborhoodMLP:
        config = self.config
        return NeighborhoodMLP(dimension, self.n_classes, config.neighborhood_size, config.mlp)

    def _build_refiner(self) -> RefinementNetwork:
        return RefinementNetwork(self.config.refiner)

    def _networks(self) -> list[tuple[str, nn.Module]]:
        """Return the networks and the prefixes of their tensors."""
        parts = {
            "backbone": self.extractor.backbone,
            "neighborhood": self.neighborhood,
            "refiner": self.refiner,
        }
        return [(name, network) for name, network in parts.items() if network is not None]

    def _check_grid(self) -> None:
        """Refuse a grid that is not what the backbone makes of a crop."""
        crop = self.config.crop
        usual = -(-crop // min(STRIDES))
        if self.grid == (usual, usual):
            return
        # A few networks do not pad: ask this one, by shapes alone.
        with torch.inference_mode():
            levels = self.extractor.backbone(torch.empty(1, 3, crop, crop, device="meta"))
        expected = tuple(max(level.shape[axis] for level in levels) for axis in (2, 3))
        if self.grid != expected:
            raise PniError(f"grid must be {expected} at a crop of {crop}, got {self.grid}")

    def filled(self, tensors: Mapping[str, torch.Tensor]) -> Fitted:
        """Return the member with its tensors, which become parts of it where that is possible.

        Raises
        ------
        PniError
            A value cannot be worked with.
        """
        _check_values({name: tensors[name] for name in self.names})

        def state(part: str) -> dict[str, torch.Tensor]:
            return {name[len(part) :]: tensor for name, tensor in tensors.items() if name.startswith(part)}

        (backbone,) = self.config.backbones
        extractor, neighborhood, refiner = self.extractor, self.neighborhood, self.refiner
        extractor.backbone = _filled(extractor.backbone, lambda: build_backbone(backbone), state("backbone."))
        columns = tensors["coreset"].shape[1]
        if neighborhood is not None:
            neighborhood = _filled(
                neighborhood, lambda: self._build_neighborhood(columns), state("neighborhood.")
            )
        if refiner is not None:
            refiner = _filled(refiner, self._build_refiner, state("refiner."))
        return Fitted(
            config=self.config,
            weights_source=_text(self.values, "weights_source"),
            extractor=extractor,
            grid=(self.grid[0], self.grid[1]),
            distribution=Distribution(
                coreset=tensors["coreset"].numpy(),
                groups=tensors["groups"].numpy(),
                n_classes=self.n_classes,
                position=tensors["position"].numpy() if self.position else None,
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
        )

    def _context(self, tensors: Mapping[str, torch.Tensor]) -> Context:
        names = self.values.get("context_names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise PniError(f"context_names must be names, got {short(names)}")
        return Context(
            **{name: tensors[f"context.{name}"].numpy() for name in CONTEXT_TENSORS},
            images=self.config.context.images,
            window=self.config.neighborhood_size,
            n_classes=self.n_classes,
            names=tuple(names),
        )


def _filled(network: Network, build: Callable[[], Network], state: dict[str, torch.Tensor]) -> Network:
    """Return a network with its tensors, ready to score.

    One without memory takes the tensors as its own. Where it holds more than a file does (tables made from
    its shape, not saved), it is built once more.
    """
    if _has_more_than(network, state):
        network = build()
        network.load_state_dict(state)
    else:
        network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _has_more_than(network: nn.Module, state: Mapping[str, torch.Tensor]) -> bool:
    """Whether a network on the device ``"meta"`` would be left with tensors that have no memory."""
    beside = [
        value
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor)
    ]
    beside += [buffer for name, buffer in network.named_buffers() if name not in state]
    return any(value.is_meta for value in beside)


def _check_values(tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse numbers under which a network gives no number."""
    name = not_finite(tensors)
    if name is not None:
        raise PniError(f"tensor {name!r} holds values that are not finite")
    for name, tensor in tensors.items():
        if name.endswith(".running_var") and tensor.numel() and tensor.min() < 0:
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


def _compare(places: Mapping[str, Place], name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if name not in places:
        raise PniError(f"tensor {name!r} is missing")
    place = places[name]
    if place.shape != shape or place.dtype != dtype:
        raise PniError(
            f"tensor {name!r} must have shape {shape} of {dtype}, got {place.shape} of {place.dtype}"
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
