"""`pni-fast info`: the installation, or what a model file holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from . import options
from .summary import print_json
from .trials import trial_lines


def installed_version() -> str:
    """Return the version of the installed package, or ``unknown`` in a checkout that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("pni-fast")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


HUB = "timm"
"""Whose repositories, on the hub, have the weights that timm knows, each under its own name."""

LINE = 100
"""Characters up to which a list stays on one line."""


@click.command(short_help="Describe the installation or a model.")
@click.argument("model", type=options.PATH, required=False)
@click.option("--backbones", is_flag=True, help="List families of backbones, their levels and the defaults.")
@click.option("--backbone", metavar="NAME", help="Show the levels of one timm network; this takes torch.")
@options.as_json
def info(model: Path | None, backbones: bool, backbone: str | None, as_json: bool) -> None:
    """Show version, CPU features in use, threads, torch, device and weights found; or what MODEL holds."""
    if (model is not None) + backbones + (backbone is not None) > 1:
        raise click.UsageError("MODEL, --backbones and --backbone cannot be given together")
    if backbones:
        _print_families(as_json)
        return
    if backbone is not None:
        described = describe_backbone(backbone)
    else:
        described = describe_installation() if model is None else describe_model(model)
    if as_json:
        print_json(described)
    else:
        _print_lines(described)


def _print_families(as_json: bool) -> None:
    """Print the table of families, whose levels are known without torch."""
    from pni_fast.config.families import FAMILIES

    rows = [family.as_dict() for family in FAMILIES]
    if as_json:
        print_json({"backbones": rows})
        return
    for row in rows:
        there = row["available"]
        every = f"{there[0]} to {there[-1]}" if row["levels"] == "blocks" else _text(there)
        click.echo(f"{row['family']}, as {row['example']}:")
        click.echo(
            f"  {row['levels']} {every}; default --levels {','.join(map(str, row['default']))}"
            f"{', each with norm 1' if row['normalize'] else ''}; crops fit at multiples of {row['multiple']}"
        )
    click.echo("Any other timm network: pni-fast info --backbone NAME")


def describe_backbone(name: str) -> dict[str, Any]:
    """Return the levels of a timm network, JSON-able; it is built as shapes alone."""
    from pni_fast.features.families import family_of, known_architecture

    family = family_of(known_architecture(name, "backbone"))
    return {
        "backbone": name,
        "levels": "blocks" if family.blocks else "strides",
        "available": list(family.levels),
        "default": list(family.usual),
        "normalize": family.blocks,
        "multiple": family.multiple(),
    }


def describe_model(model: Path) -> dict[str, Any]:
    """Return the model's own description, JSON-able, with the file's path and size."""
    from pni_fast.model.pni import PNI

    return {
        "file": str(model),
        "bytes": model.stat().st_size if model.exists() else 0,
        **PNI.load(model).summary(),
    }


def describe_installation() -> dict[str, Any]:
    """Return what a bug report needs, JSON-able."""
    import platform

    from pni_fast import _core

    return {
        "version": installed_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "simd": _core.simd_level(),
        "threads": _core.num_threads(),
        "torch": _version_of("torch"),
        "timm": _version_of("timm"),
        "device": _device(),
        "weights": found_weights(),
    }


def _version_of(name: str) -> str | None:
    """Return the version of something that is installed, None where it is not; it is not imported."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device() -> str:
    """Return what ``--device auto`` takes, and a GPU's name."""
    from pni_fast.runtime.device import resolve_device

    device = resolve_device("auto")
    if device.type == "cpu":
        return "cpu"
    import torch

    return f"cuda ({torch.cuda.get_device_name(0)})"


def found_weights() -> dict[str, Any]:
    """Return, for each preset, where its backbone weights lie, without asking any network.

    A line for a preset with one backbone, a list of them for one with several.
    """
    from pni_fast.presets import PRESETS

    found: dict[str, Any] = {}
    for name, config in PRESETS.items():
        lines = [f"{backbone}: {_whereabouts(backbone)}" for backbone in config.backbones]
        found[name] = lines[0] if len(lines) == 1 else lines
    return found


def _whereabouts(backbone: str) -> str:
    from pni_fast.config.backbones import EMBEDDED
    from pni_fast.errors import is_there

    if backbone == EMBEDDED:
        return "embedded"
    if is_there("huggingface_hub"):
        from huggingface_hub import try_to_load_from_cache

        for name in ("model.safetensors", "pytorch_model.bin"):
            cached = try_to_load_from_cache(f"{HUB}/{backbone}", name)
            if isinstance(cached, str):
                return cached
    return "not on this machine; fetched from the hub when first used, or give --weights"


def _print_lines(described: Mapping[str, Any], indent: str = "") -> None:
    width = max((len(str(key)) for key in described), default=0) + 2
    for key, value in described.items():
        label = str(key).replace("_", " ")
        if key == "trials" and value:
            click.echo(f"{indent}{label}:")
            for line in trial_lines(value):
                click.echo(f"{indent}  {line}")
        elif isinstance(value, Mapping):
            click.echo(f"{indent}{label}:")
            _print_lines(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, item in enumerate(value):
                click.echo(f"{indent}{label} {number}:")
                _print_lines(item, indent + "  ")
        elif isinstance(value, list) and len(_text(value)) > LINE:
            click.echo(f"{indent}{label}:")
            for item in value:
                click.echo(f"{indent}  {_text(item)}")
        else:
            click.echo(f"{indent}{label + ':':<{width}}{_text(value)}")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "-"
    # A model file may be a stranger's: a terminal gets its text, and nothing that it would obey.
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))
