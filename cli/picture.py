"""The options of what pictures are brought to, which are settings too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_PICTURE = ("size", "tile", "overlap", "channels")
"""Settings that are options by themselves."""


def picture(command: F) -> F:
    """Add the options of what pictures are brought to; :func:`settled` puts them among the settings."""
    for option in reversed(
        (
            click.option(
                "--size",
                metavar="WIDTHxHEIGHT",
                help="What pictures are brought to, such as 800x608, or 480 for a square; auto: the aspect "
                "ratio of the training images, about the area of 512x512, nothing cut off; crop: 512x512, of "
                "which the central 480x480 are inspected.  [default: auto; paper: crop]",
            ),
            click.option(
                "--tile",
                type=int,  # the library refuses what is out of range, in one line
                metavar="PIXELS",
                help="Cut pictures into squares of this side, which go through the backbone one by one.",
            ),
            click.option(
                "--overlap",
                type=int,
                metavar="PIXELS",
                help="What neighbouring tiles have in common.  [default: 64]",
            ),
            click.option(
                "--channels",
                metavar="N,N,N",
                help="Channels, counted from 0, to take of pictures that have other than red, green and "
                "blue ones; a single one is repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def settled(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a command, those of :func:`picture` among its settings.

    Raises
    ------
    click.UsageError
        A setting is given twice, or ``--overlap`` without tiles.
    """
    rest = {name: value for name, value in choices.items() if name not in _PICTURE}
    own = {name: choices[name] for name in _PICTURE if choices[name] is not None}
    if "overlap" in own and "tile" not in own and "tile" not in rest["settings"]:
        raise click.UsageError("--overlap needs --tile")
    for name in own:
        if name in rest["settings"]:
            raise click.UsageError(f"{name} is given twice: --{name} and --set {name}")
    return {**rest, "settings": {**rest["settings"], **own}}
