"""What a run needs beside its inputs, resolved once and handed on as one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pni_fast.config.choices import DEVICES
from pni_fast.errors import PniError
from pni_fast.progress import Progress, silent

from .precision import FLOAT32, Precision, resolve_precision
from .threads import resolve_threads

CPU = torch.device("cpu")


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
    """

    device: torch.device = CPU
    precision: Precision = FLOAT32
    threads: int = 1
    progress: Progress = silent

    @classmethod
    def resolve(
        cls,
        device: str = "auto",
        precision: str = "auto",
        num_threads: int | None = None,
        progress: Progress = silent,
    ) -> Run:
        """Return the run that a caller's words stand for.

        Parameters
        ----------
        device
            As for :func:`resolve_device`.
        precision
            As for :func:`pni_fast.runtime.precision.resolve_precision`.
        num_threads
            As for :func:`pni_fast.runtime.threads.resolve_threads`.
        progress
            Called with (stage, done, total).

        Raises
        ------
        PniError
            The device is not there or cannot compute in that precision, or the threads are no number.
        """
        where = resolve_device(device)
        return cls(where, resolve_precision(precision, where), resolve_threads(num_threads), progress)

    @property
    def batched(self) -> bool:
        """Whether images go through the networks in batches; on a CPU every thread takes one at a time."""
        return self.device.type != "cpu"

    def reporting(self, progress: Progress) -> Run:
        """Return this run with another listener."""
        return replace(self, progress=progress)

    def within(self, part: str) -> Run:
        """Return this run with the names of its stages begun by `part`."""
        progress = self.progress
        return self.reporting(lambda stage, done, total: progress(part + stage, done, total))

    def with_threads(self, threads: int) -> Run:
        """Return this run with another number of threads."""
        return replace(self, threads=threads)


def resolve_device(name: str) -> torch.device:
    """Return the torch device for ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    PniError
        The name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    words = f"device must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, got {name!r}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PniError(words) from None
    if device.type not in DEVICES:
        raise PniError(words)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise PniError(f"device {name!r} asked for, but torch sees no CUDA GPU; use --device cpu or auto")
    return device
