"""torch.compile where it pays, and on without it where no compiler is to be had.

What compiling can save here is little: nearly all the time goes into a few large matrix products, which a
library computes either way, and the passes over activations that it joins move a few per cent of the bytes.
Compiling itself takes tens of seconds. It is therefore left to trainings of many minutes on a GPU;
PNI_FAST_COMPILE=on asks for it everywhere, PNI_FAST_COMPILE=off nowhere.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

from pni_fast.errors import PniError

R = TypeVar("R")

VARIABLE = "PNI_FAST_COMPILE"

LONG = 2e17
"""Floating point operations from which on a training is long: some ten minutes of a GPU of 400 TFLOP/s."""

_COMPILER = threading.Lock()
"""torch.compile traces with state of the whole process: one thread at a time goes into what it made."""


def compiles(device: torch.device, work: float = 0.0) -> bool:
    """Return whether something is to be compiled.

    Parameters
    ----------
    device
        Where it runs.
    work
        Floating point operations it will do in all, 0 where that is not known.

    Raises
    ------
    PniError
        PNI_FAST_COMPILE has another value than auto, on and off.
    """
    wish = os.environ.get(VARIABLE, "auto") or "auto"
    if wish not in ("auto", "on", "off"):
        raise PniError(f"{VARIABLE} must be auto, on or off, got {wish!r}")
    return wish == "on" or (wish == "auto" and device.type == "cuda" and work >= LONG)


class Compiled(Generic[R]):
    """A function that runs compiled, or plain from the first call on that compiling fails.

    Parameters
    ----------
    function
        Takes the inner function as its first argument and does all that compiling may fail in: compilers
        work when something is first called, and for a gradient when it is first asked for.
    inner
        What is compiled.
    """

    def __init__(self, function: Callable[..., R], inner: Callable[..., Any]) -> None:
        self._function, self._inner = function, inner
        self._compiled: Callable[..., Any] | None = torch.compile(inner)

    def __call__(self, *arguments: Any) -> R:
        """Return ``function(inner, *arguments)``."""
        if self._compiled is not None:
            try:
                with _COMPILER:
                    return self._function(self._compiled, *arguments)
            except Exception as error:  # whatever a compiler, its toolchain or its cache folder raises
                self._compiled = None
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                warnings.warn(
                    f"torch.compile failed, going on without it ({reason}); {VARIABLE}=off avoids trying",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return self._function(self._inner, *arguments)  # an error that is not the compiler's comes out here
