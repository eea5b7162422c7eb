"""The options of a command whose work a Ray cluster shares."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import FiniteRange

if TYPE_CHECKING:
    from pni_fast.model.spread import Spread
    from pni_fast.runtime.run import Run

F = TypeVar("F", bound=Callable[..., Any])


def ray_address(what: str) -> Callable[[F], F]:
    """Return the option ``--ray``; `what` says in its help what runs there."""
    return click.option(
        "--ray",
        metavar="auto|ADDRESS",
        help=f"{what} on a Ray cluster: that at ADDRESS, the one this machine is part of (auto), or one of "
        "its own processors where there is none.",
    )


def workers(what: str) -> Callable[[F], F]:
    """Return the options of a command that sends pictures to workers, which do `what`."""
    added = (
        click.option(
            "--gpus-per-worker",
            type=FiniteRange(min=0, min_open=True),
            metavar="G",
            help="GPUs that a worker of --ray takes.  [default: 1 where the networks run on a GPU]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="Workers of --ray; they share its processors.  [default: one a machine]",
        ),
        ray_address(what),
    )
    return lambda command: functools.reduce(lambda done, option: option(done), added, command)


@contextlib.contextmanager
def spread_on(ray: str | None, count: int | None, gpus: float | None, run: Run) -> Iterator[Spread | None]:
    """Give the workers that were asked for, and end them; None where there are none.

    Raises
    ------
    click.UsageError
        Workers are described, but no cluster is named.
    PniError
        The cluster cannot be joined, or has not that many GPUs.
    """
    if ray is None:
        for option, value in {"--workers": count, "--gpus-per-worker": gpus}.items():
            if value is not None:
                raise click.UsageError(f"{option} needs a cluster: add --ray auto or --ray ADDRESS")
        yield None
        return
    from pni_fast.distributed import RayExecutor
    from pni_fast.model.spread import Spread

    each = gpus if gpus is not None else float(run.batched)
    with RayExecutor(ray, actors=count, gpus=each) as executor:
        yield Spread(executor, executor.actors, executor.threads)
