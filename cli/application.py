"""The command group. Command modules import the library inside their functions, so `--help` is instant."""

from __future__ import annotations

import click

from .benchmark import benchmark
from .compare import compare
from .coreset import coreset
from .demo import demo
from .evaluate import evaluate
from .failures import Application
from .fit import fit
from .info import info, installed_version
from .refine import refine
from .score import score
from .synthesize import synthesize
from .threshold import threshold
from .update import update


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"pni-fast {installed_version()}")
        ctx.exit()


@click.group(
    cls=Application, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def application() -> None:
    """Find defects in images of products after seeing only good ones.

    \b
    pni-fast fit photos/good --output model.safetensors
    pni-fast score model.safetensors photos/new --output results --overlays
    """  # noqa: D301  click's mark against rewrapping


for command in (
    fit,
    threshold,
    update,
    refine,
    score,
    evaluate,
    compare,
    coreset,
    synthesize,
    benchmark,
    info,
    demo,
):
    application.add_command(command)
