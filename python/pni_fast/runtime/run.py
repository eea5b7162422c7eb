"""What a run needs beside its inputs, resolved once and handed on as one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pni_fast.config.choices import ENGINES
from pni_fast.errors import PniError
from pni_fast.progress import Progress, Tell, silent, unheard

from .device import CPU, Device, resolve_device
from .precision import FLOAT32, Precision, resolve_precision
from .threads import resolve_threads


@dataclass(frozen=True)
class Run:
    """Where and how something is computed; on a CPU the result follows from `precision` alone.

    Parameters
    ----------
    device
        Where the networks run.
    precision
        What they compute in.
    threads
        CPU threads.
    progress
        Called with (stage, done, total).
    engine
        What runs the extractor, one of :data:`pni_fast.config.choices.ENGINES`.
    tell
        Called with a line of what a reader should know before the work begins.
    """

    device: Device = CPU
    precision: Precision = FLOAT32
    threads: int = 1
    progress: Progress = silent
    engine: str = "auto"
    tell: Tell = unheard

    @classmethod
    def resolve(
        cls,
        device: str = "auto",
        precision: str = "auto",
        num_threads: int | None = None,
        progress: Progress = silent,
        engine: str = "auto",
    ) -> Run:
        """Return the run that a caller's words stand for.

        Parameters
        ----------
        device
            As for :func:`pni_fast.runtime.device.resolve_device`.
        precision
            As for :func:`pni_fast.runtime.precision.resolve_precision`.
        num_threads
            As for :func:`pni_fast.runtime.threads.resolve_threads`.
        progress
            Called with (stage, done, total).
        engine
            One of :data:`pni_fast.config.choices.ENGINES`.

        Raises
        ------
        PniError
            The device is not there or cannot compute in that precision, the threads are no number, or there
            is no such engine.
        """
        if engine not in ENGINES:
            raise PniError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
        where = resolve_device(device)
        computing = resolve_precision(precision, where)
        return cls(where, computing, resolve_threads(num_threads), progress, engine)

    @property
    def batched(self) -> bool:
        """Whether images go through the networks in batches; on a CPU every thread takes one at a time."""
        return self.device.type != "cpu"

    def reporting(self, progress: Progress, tell: Tell = unheard) -> Run:
        """Return this run with other listeners."""
        return replace(self, progress=progress, tell=tell)

    def within(self, part: str) -> Run:
        """Return this run with the names of its stages, and its lines, begun by `part`."""
        progress, tell = self.progress, self.tell
        return self.reporting(
            lambda stage, done, total: progress(part + stage, done, total), lambda line: tell(part + line)
        )

    def with_threads(self, threads: int) -> Run:
        """Return this run with another number of threads."""
        return replace(self, threads=threads)
