"""How a model is run: the four options of every command that loads one, and the loading."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options
from .speech import say

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI


@dataclass(frozen=True)
class Computing:
    """What was asked for with ``--device``, ``--precision``, ``--engine`` and ``--threads``."""

    device: str
    precision: str
    engine: str
    threads: int | None

    def load(self, model: Path, *, quiet: bool) -> PNI:
        """Return the model of a file; say when another engine runs it than the one it was fitted by.

        Raises
        ------
        PniError
            The file is no model, or what was asked for is not there.
        """
        from pni_fast.model.pni import PNI

        loaded = PNI.load(
            model,
            device=self.device,
            precision=self.precision,
            engine=self.engine,
            num_threads=self.threads,
        )
        for member, name in zip(loaded.fitted.members, loaded.engines, strict=True):
            if member.engine is not None and member.engine.split()[0] != name and not quiet:
                say(f"Fitted by {member.engine}; scored by {name}, which rounds otherwise.", err=True)
        return loaded


def computing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the four options, which it gets as one :class:`Computing`."""

    @functools.wraps(command)
    def called(*, device: str, precision: str, engine: str, threads: int | None, **others: Any) -> Any:
        return command(computing=Computing(device, precision, engine, threads), **others)

    return options.device(options.precision(options.engine(options.threads(called))))
