"""What a timm network gives: levels of several strides, or blocks of one; and the sizes of crops it takes."""

from __future__ import annotations

import contextlib
import difflib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pni_fast.config.backbones import default_blocks, default_strides
from pni_fast.config.checks import check_network_name
from pni_fast.errors import WeightsError

REFUSALS = (RuntimeError, AttributeError, AssertionError, IndexError, TypeError, ValueError, KeyError)
"""What timm's networks raise where they cannot be built, or cannot take an image."""

ASKED: tuple[tuple[tuple[str, Any], ...], ...] = ((), (("feature_cls", "getter"),))
"""How timm is asked for feature maps: as a network has them by itself, else by ``forward_intermediates``."""

TRIED = (1, 2, 4, 7, 8)
"""Multiples of the coarsest stride, the last two those of windows, in which a size is looked for."""


def known_architecture(name: str, what: str) -> str:
    """Return the architecture of a timm name, ``"resnet18"`` of ``"resnet18.a1_in1k"``.

    Parameters
    ----------
    name
        Of a timm network. It never names a place: ``"hf-hub:…"`` and ``"local-dir:…"``, which timm would
        open, are refused before timm is asked.
    what
        The setting's name in the message.

    Raises
    ------
    PniError
        It is no plain name.
    WeightsError
        timm does not know it; the message lists close ones.
    """
    check_network_name(name, what)
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; close names: {', '.join(close)}" if close else ""
        raise WeightsError(f"{what} must be the name of a timm model, got {name!r}{hint}")
    return architecture


class _Unset(TorchFunctionMode):
    """Leave out the first values of layers, which weights replace, and nothing without memory has."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor as it is where it would be filled, else what torch does."""
        given = kwargs or {}
        if getattr(func, "__name__", "") in _FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


_FILLS = frozenset({"normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "erfinv_"})


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Build networks whose weights follow: their memory holds what it held."""
    with _Unset():
        yield


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Build networks that have names and shapes of parameters and no memory for them (device ``"meta"``)."""
    with torch.device("meta"), _Unset():
        yield


@dataclass(frozen=True)
class Family:
    """What a network gives, and how timm is asked for it.

    Parameters
    ----------
    architecture
        timm's name of it.
    strides
        Pixels between two positions, of every level in timm's order.
    sized
        Whether it is made for images of one size, which it may be told when it is built.
    options
        What ``timm.create_model`` is told beside ``features_only``.
    still
        Whether it may be told to make its position embeddings for that size once, not anew for each image.
    """

    architecture: str
    strides: tuple[int, ...]
    sized: bool
    options: tuple[tuple[str, Any], ...]
    still: bool

    @property
    def blocks(self) -> bool:
        """Whether its levels are the blocks of a vision transformer, all of one stride."""
        return len(self.strides) > 1 and len(set(self.strides)) == 1

    @property
    def levels(self) -> tuple[int, ...]:
        """Names of the levels it has: numbers of blocks from 0 up, or strides."""
        return tuple(range(len(self.strides))) if self.blocks else tuple(sorted(set(self.strides)))

    @property
    def usual(self) -> tuple[int, ...]:
        """The levels that are taken unasked."""
        return default_blocks(len(self.strides)) if self.blocks else default_strides(self.levels)

    def indices(self, levels: Sequence[int] = ()) -> tuple[int, ...]:
        """Return timm's numbers of levels, of the usual ones where none are named.

        Raises
        ------
        WeightsError
            One is not there; the message lists those that are.
        """
        chosen = tuple(levels) or self.usual
        for level in chosen:
            if level not in self.levels:
                what = "blocks" if self.blocks else "strides"
                raise WeightsError(
                    f"levels must be {what} of {self.architecture}, {listed(self.levels)}, got {level}"
                )
        return chosen if self.blocks else tuple(self.strides.index(level) for level in chosen)

    def multiple(self, levels: Sequence[int] = ()) -> int:
        """Return what the sides of a crop are to be multiples of."""
        used = [self.strides[index] for index in self.indices(levels)]
        return max(self.strides) if self.sized else max(used)

    def create(
        self, indices: Sequence[int], shape: tuple[int, int] | None = None, *, whole: bool = False
    ) -> nn.Module:
        """Return the untrained network with some of its levels, told the size of its crops or not.

        It ends with the last of them, unless the `whole` is asked for: timm keeps and runs all stages of some
        networks, EfficientNet's among them, as model files of older versions do.
        """
        options = {"out_indices": tuple(indices), **dict(self.options), **self.size(shape)}
        network: nn.Module = timm.create_model(self.architecture, features_only=True, **options)
        if not whole:
            _end_with_the_last_level(network)
        return network

    def size(self, shape: tuple[int, int] | None) -> dict[str, Any]:
        """Return what timm is told for crops of one size."""
        if shape is None:
            return {}
        return {"img_size": shape, **({"dynamic_img_size": False} if self.still else {})}


def _end_with_the_last_level(network: Any) -> None:
    """Leave out the stages behind the last level, of networks that say at which stage each level is.

    Their stages follow each other in ``blocks``, the stem being stage 0. Where levels are taken inside of
    stages, by hooks, nothing is left out.
    """
    blocks, hooks = getattr(network, "blocks", None), getattr(network, "feature_hooks", False)
    stages = [level.get("stage") for level in network.feature_info.get_dicts()]
    if isinstance(blocks, nn.Sequential) and hooks is None and None not in stages:
        network.blocks = blocks[: max(stages)]


def listed(levels: Sequence[int]) -> str:
    """Return levels in words: a range where they follow each other."""
    if len(levels) > 2 and levels[-1] - levels[0] == len(levels) - 1:
        return f"{levels[0]} to {levels[-1]}"
    return ", ".join(map(str, levels))


@cache
def family_of(architecture: str) -> Family:
    """Return what a network gives; shapes only, nothing is allocated.

    Raises
    ------
    WeightsError
        It gives no feature maps.
    """
    reason = ""
    with shapes_alone():
        for options in ASKED:
            try:
                network: Any = timm.create_model(architecture, features_only=True, **dict(options))
            except REFUSALS as error:
                reason = reason or " ".join(str(error).split()) or type(error).__name__
                continue
            if getattr(network, "output_fmt", "NCHW") != "NCHW":
                continue  # channels last, as Swin has them; forward_intermediates turns them
            strides = tuple(int(level["reduction"]) for level in network.feature_info.info)
            takes = _options(network)
            sized = _sized(architecture, takes)
            return Family(architecture, strides, sized, options, sized and "dynamic_img_size" in takes)
    raise WeightsError(
        f"backbone must support timm's features_only or forward_intermediates, got {architecture!r}: "
        f"{reason or 'its channels come last'}"
    )


def _options(network: Any) -> frozenset[str]:
    """Return what the class of a whole network is told; nothing where that does not show."""
    whole = getattr(network, "model", None)
    if whole is None:
        return frozenset()
    parameters = inspect.signature(type(whole)).parameters
    hidden = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return frozenset() if hidden else frozenset(parameters)


def _sized(architecture: str, takes: frozenset[str]) -> bool:
    config = timm.get_pretrained_cfg(architecture)
    if config is None or not config.fixed_input_size:
        return False
    if takes:
        return "img_size" in takes
    try:
        timm.create_model(architecture, img_size=config.input_size[-2:])
    except TypeError:
        return False  # its class does not know the word
    return True


@cache
def told_size(architecture: str, indices: tuple[int, ...], shape: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size a network is told when it is built for crops of `shape`: that, or None.

    A pyramid that takes such crops as it is is told nothing, and so is built as it always was. Position
    embeddings of a vision transformer are to be made for the size, once. Asked by shapes alone.

    Raises
    ------
    WeightsError
        It does not take crops of that size; the message names the nearest that it takes.
    """
    family = family_of(architecture)
    if not family.sized:
        return None
    fits = not family.blocks or not any(side % family.strides[0] for side in shape)
    if fits and not family.blocks and _runs(family, indices, shape, None):
        return None
    if fits and (_runs(family, indices, shape, shape) or not _runs_at_all(family, indices)):
        return shape
    near = _nearest(family, indices, shape)
    hint = f"; the nearest that it takes are {' and '.join(near)}" if near else ""
    raise WeightsError(
        f"the backbone {architecture} does not take images of {shape[1]} x {shape[0]} pixels{hint}"
    )


def _runs(
    family: Family, indices: Sequence[int], shape: tuple[int, int], told: tuple[int, int] | None
) -> bool:
    """Whether a network makes maps of a crop."""
    try:
        with shapes_alone(), torch.inference_mode():
            network = family.create(indices, told).eval()
            network(torch.empty(1, 3, *shape))
    except REFUSALS:
        return False
    return True


def _runs_at_all(family: Family, indices: Sequence[int]) -> bool:
    """Whether shapes alone can tell: at the size it is made for."""
    config: Any = timm.get_pretrained_cfg(family.architecture)
    return _runs(family, indices, config.input_size[-2:], None)


def _nearest(family: Family, indices: Sequence[int], shape: tuple[int, int]) -> list[str]:
    """Return the next smaller and the next larger size that a network takes, in words."""
    found: list[str] = []
    for up in (False, True):
        for times in TRIED:
            step = max(family.strides) * times
            height, width = ((side + step - 1 if up else side) // step * step for side in shape)
            sides = height, width
            if min(sides) and _runs(family, indices, sides, sides):
                found.append(f"{sides[1]} x {sides[0]}")
                break
    return found
