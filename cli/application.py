"""The command group. A command's module is imported when it is called, and all of them by `--help` alone.

Command modules import the library inside their functions, so that `--help` is instant too.
"""

from __future__ import annotations

from importlib import import_module

import click

from .failures import Application

COMMANDS = (
    "fit",
    "threshold",
    "update",
    "refine",
    "score",
    "evaluate",
    "compare",
    "export",
    "coreset",
    "synthesize",
    "benchmark",
    "info",
    "demo",
)
"""Each is a module here with a command of its own name."""


class Commands(Application):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, its module imported now; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        return command


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from .info import installed_version

        click.echo(f"pni-fast {installed_version()}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
