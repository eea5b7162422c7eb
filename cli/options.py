"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from pni_fast.config import PRESETS, RULES
from pni_fast.config.choices import DEVICES, ENGINES, PRECISIONS

from .picture import picture

F = TypeVar("F", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """Numbers of a range; NaN, which lies outside of none by comparison, and infinity are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number that a text stands for."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a finite number, got {value}", param, ctx)
        return number


class GivenPath(click.Path):
    """A path that is there: an empty text, a shell's unset variable, would be the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path that a text stands for."""
        if value == "":
            self.fail("must be a path, got an empty text", param, ctx)
        return super().convert(value, param, ctx)


# Existence is checked by the library, whose message also says what was expected there.
PATH = GivenPath(path_type=Path)

device = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where the networks run; auto takes a GPU when there is one.",
)
precision = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="What the networks compute in; auto is bfloat16 and TF32 where a GPU has them, float32 on a CPU.",
)
engine = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What runs the backbone; auto is OpenVINO on a CPU, else ONNX Runtime; on a GPU torch.",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads of the CPU kernels; the result does not depend on it.  [default: all cores]",
)
seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the training."
)
quiet = click.option("--quiet", "-q", is_flag=True, help="Print no progress and no summary; errors only.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
skip_broken = click.option(
    "--skip-broken", is_flag=True, help="Go on past files that cannot be read as images, and list them."
)
backbone = click.option(
    "--backbone",
    multiple=True,
    metavar="NAME",
    help="A timm backbone in place of the preset's, or hf-hub:OWNER/NAME. Given several times: an ensemble, "
    "the mean of the models fitted with each.",
)


def _levels(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"must be whole numbers with commas between them, such as 8,16, got {value!r}"
        ) from None


levels = click.option(
    "--levels",
    callback=_levels,
    metavar="N,N,...",
    help="Feature maps of the backbone to use: strides of a pyramid, such as 8,16; blocks of a vision "
    "transformer from 0 up, such as 3,5,8,11.  [default: the family's, see pni-fast info --backbones]",
)


def _files(_ctx: click.Context, _parameter: click.Parameter, values: tuple[Path, ...]) -> list[Path | None]:
    return [None if value == Path("-") else value for value in values]


weights = click.option(
    "--weights",
    type=PATH,
    multiple=True,
    callback=_files,
    metavar="FILE",
    help="Backbone weights, .safetensors or .pth, named as in timm or by the network's authors, or a folder "
    "that a hub's client keeps. For an ensemble once for each backbone, in their order; - takes the embedded "
    "or hub weights.",
)


def refiner_weights(name: str) -> Callable[[F], F]:
    """Return the option for the weights of a refiner's encoder, with the name of a command."""
    return click.option(
        name,
        type=PATH,
        metavar="FILE",
        help="Weights of the refiner's encoder, .safetensors or .pth.  [default: embedded, or timm's hub]",
    )


def check_weights(preset: str, backbones: Sequence[str], weights: Sequence[Path | None]) -> None:
    """Refuse, as wrong usage, weights that are not one for each backbone."""
    from pni_fast.config import member_weights
    from pni_fast.errors import WeightsError

    try:
        member_weights(backbones or PRESETS[preset].backbones, weights)
    except WeightsError as error:
        raise click.UsageError(f"--weights and --backbone: {error}") from error


coreset_ratio = click.option(
    "--coreset-ratio",
    type=FiniteRange(min=0, max=1, min_open=True),
    metavar="RATIO",
    help="Share of the features kept in the coreset.  [default: the preset's, 0.01]",
)


_OWN_OPTIONS = {
    "preset": ("--preset", "--presets"),
    "backbone": ("--backbone",),
    "levels": ("--levels",),
    "coreset_ratio": ("--coreset-ratio",),
    "refinement": ("--refine",),
    "seed": ("--seed",),
}
"""What some commands have an option for, and its names."""


def _settings(ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Split NAME=VALUE pairs; the library reads the values."""
    changes: dict[str, str] = {}
    here = {option for parameter in ctx.command.params for option in parameter.opts}
    for text in values:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise click.BadParameter(f"must be NAME=VALUE, got {text!r}")
        for own in here.intersection(_OWN_OPTIONS.get(name, ())):
            raise click.BadParameter(f"{name} has an option of its own: {own}")
        if name in changes:
            raise click.BadParameter(f"{name} may be set once only")
        changes[name] = value.strip()
    return changes


settings = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="Change any setting of the preset; may be given several times. For ablations: "
    f"rule={'|'.join(RULES)}, neighborhood=yes|no, position_gate=yes|no (let images left out of "
    "the fit decide which condition acts), context.images=30 (alike images that count), "
    "image_score=0.005 (mean of that share of the map's largest values; 0: its maximum), "
    "likelihood_lambda, mlp.center=yes|no, mlp.dropout, "
    "mlp.validation, mlp.fit_temperature, "
    "mlp.temperature, mlp.layers, mlp.width, mlp.epochs. A wrong name lists all.",
)


def check_settings(preset: str, changes: Mapping[str, Any]) -> None:
    """Refuse a name that no setting has, as wrong usage, and a value out of its range.

    Raises
    ------
    click.BadParameter
        The name is unknown.
    PniError
        The value cannot be used.
    """
    from pni_fast.presets import preset as preset_config

    try:
        preset_config(preset, **changes)
    except TypeError as error:
        raise click.BadParameter(str(error), param_hint="'--set'") from None


checkpoint = click.option(
    "--checkpoint",
    type=PATH,
    metavar="FILE",
    help="Keep the refiner's training in FILE, so that a killed run goes on from it. Removed when done.",
)


def refiner_iterations(name: str, default: str) -> Callable[[F], F]:
    """Return the option for the steps of a refiner's training, with the name and default of a command."""
    return click.option(
        name,
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Training steps of the refiner.  [default: {default}]",
    )


def promise(default: float | None) -> Callable[[F], F]:
    """Return the options of what a threshold promises; without a default the rate stays that of the model."""

    def add(command: F) -> F:
        for option in reversed(
            (
                click.option(
                    "--false-alarms",
                    type=float,  # the library refuses what is no share, in one line
                    default=default,
                    show_default=default is not None,
                    metavar="RATE",
                    help="Rate of good images called defective that the threshold is to keep."
                    + ("" if default is not None else "  [default: the model's]"),
                ),
                click.option(
                    "--confidence",
                    type=float,  # the library refuses what is no share, in one line
                    metavar="SHARE",
                    help="Keep the rate with this confidence, such as 0.95, whatever good images were drawn."
                    "  [default: keep it on average]",
                ),
                click.option(
                    "--calibrate",
                    type=PATH,
                    metavar="DIR",
                    help="Good images, of other days perhaps, that are never fitted on: they stand for the "
                    "threshold in place of images left out of the fit.",
                ),
            )
        ):
            command = option(command)
        return command

    return add


def model_choice(command: F) -> F:
    """Add the options that say which networks and conditions a model is made of."""
    for option in reversed(
        (
            click.option(
                "--preset",
                type=click.Choice(list(PRESETS)),
                default="lite",
                show_default=True,
                help="lite: embedded weights, sized for a CPU, good images choose position, context or "
                "neither; best: the same backbone, position as a penalty that images left out set; paper: "
                "WideResNet-101, sizes as published; paper-ensemble: the same with ResNeXt-101 and "
                "DenseNet-201 beside it; dino, dino-base: DINOv2 transformers, small and base, conditions "
                "as in lite.",
            ),
            backbone,
            levels,
            weights,
            coreset_ratio,
            click.option(
                "--no-position",
                is_flag=True,
                help="Leave position out, whatever good images say for it.",
            ),
            click.option(
                "--no-context",
                is_flag=True,
                help="Leave context, which training images an image is like, out, whatever good images say "
                "for it.",
            ),
            click.option(
                "--no-neighborhood",
                is_flag=True,
                help="Leave the neighborhood MLP out; without any condition this is PatchCore.",
            ),
            click.option(
                "--refine/--no-refine",
                default=None,
                help="Train a network that refines the maps, on synthetic defects.  [default: the preset's]",
            ),
            picture,
            settings,
        )
    ):
        command = option(command)
    return command
