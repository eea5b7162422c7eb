"""What a command says when it is done: lines for a person, one JSON object for a script."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from .speech import say


def print_json(result: Mapping[str, Any]) -> None:
    """Print `result` as one JSON object on standard output; paths become strings.

    NaN and infinity, which JSON does not have, become null.
    """
    click.echo(json.dumps(_finite(result), indent=2, default=str, allow_nan=False))


def print_line(result: Mapping[str, Any]) -> None:
    """Print `result` as one JSON object on a line of its own, at once."""
    click.echo(json.dumps(_finite(result), default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def warn_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """List the files that `--skip-broken` went past, on standard error, also with `--quiet`."""
    if not skipped:
        return
    say(f"Skipped {len(skipped)} broken {'file' if len(skipped) == 1 else 'files'}:", err=True)
    for _, reason in skipped:
        say(f"  {' '.join(reason.split())}", err=True)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Show a warning of the library as one line on standard error, without the place in the code."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        click.echo(f"Warning: {' '.join(str(message).split())}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def skipped_records(skipped: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the skipped files as JSON records."""
    return [{"image": name, "reason": reason} for name, reason in skipped]
