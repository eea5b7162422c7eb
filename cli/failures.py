"""Where every error becomes one line and an exit status: 1 for what the input causes, 2 for wrong usage."""

from __future__ import annotations

from typing import Any

import click
from pni_fast.errors import INSTALLED_BY, PniError, missing

from .interrupts import interrupted
from .speech import printable
from .summary import plain_warnings


def describe(error: Exception) -> str | None:
    """Return the line a user is shown for `error`, or None for a defect of the program itself.

    A defect keeps its traceback: hiding it would hide where it is.
    """
    if isinstance(error, PniError):
        line = str(error)
    elif isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        line = reason if error.filename is None else f"{error.filename}: {reason}"
    elif blames_environment(error):
        line = str(error)
    elif isinstance(error, MemoryError):
        line = "not enough memory; lower --coreset-ratio or give fewer images"
    elif type(error).__name__ == "OutOfMemoryError":  # torch's; by name, so that torch is not imported
        line = "not enough GPU memory; use --device cpu or lower --coreset-ratio"
    elif isinstance(error, ModuleNotFoundError) and error.name in INSTALLED_BY:
        line = missing(error.name, "this")
    else:
        return None
    return " ".join(line.split())


def blames_environment(error: Exception) -> bool:
    """Whether the kernels refuse one of the environment variables that they read, PNI_FAST_SIMD say."""
    return isinstance(error, ValueError) and str(error).startswith("PNI_FAST_")


class Application(click.Group):
    """A command group that reports the library's errors and interrupts."""

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """Read the group's own options; what is wrong with them is told without steering the terminal.

        Raises
        ------
        click.ClickException
            With what is wrong in one line.
        """
        try:
            return super().make_context(*arguments, **settings)
        except click.ClickException as error:
            raise _harmless(error) from None
        except BrokenPipeError:
            raise
        except OSError as error:  # of `--version` and `--help`, where standard output is a full disk
            raise click.ClickException(f"standard output: {error.strerror or error}") from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command.

        Raises
        ------
        click.ClickException
            For an error the user can mend, with its line.
        click.Abort
            After Ctrl-C.
        """
        try:
            with plain_warnings():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None
        except click.ClickException as error:
            raise _harmless(error) from error.__cause__
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if interrupted():
                raise click.Abort from error
            line = describe(error)
            if line is None:
                raise
            raise _harmless(click.ClickException(line)) from error


def _harmless(error: click.ClickException) -> click.ClickException:
    vars(error)["message"] = printable(error.message)  # declared final
    return error
