"""Ctrl-C at any moment ends the command with one line, also where a library would lose the interrupt."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_seen = False
_held = False
_terminated = False

SIGTERM_STATUS = 128 + 15


def interrupted() -> bool:
    """Whether Ctrl-C was pressed since the command began.

    An interrupt inside a library's own ``except`` can come out as another error (a half imported module,
    say); whoever reports errors asks this first.
    """
    return _seen


_LOCKING = (threading.Condition.__enter__.__code__, threading.Condition.__exit__.__code__)
"""Functions that a signal must not leave by an error."""

_SOON = 0.001
"""Seconds until a signal that cannot be obeyed now comes again."""


def _postponed(handler: Callable[[int, FrameType | None], None], frame: FrameType | None) -> bool:
    """Whether a lock is being taken or given back; the handler is then called once more, soon.

    What is raised in there leaves the lock taken for ever, and a thread that has a result to hand over waits
    for it.
    """
    while frame is not None and hasattr(signal, "setitimer"):
        if frame.f_code in _LOCKING:
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, _SOON)
            return True
        frame = frame.f_back
    return False


def _interrupt(_signal: int, frame: FrameType | None) -> None:
    global _seen  # noqa: PLW0603  the state of the process, as signals are
    _seen = True
    if not _held and not _postponed(_interrupt, frame):
        raise KeyboardInterrupt


def _terminate(_signal: int, frame: FrameType | None) -> None:
    """Leave through the same clean-up as Ctrl-C, with the status a shell shows for SIGTERM."""
    global _terminated  # noqa: PLW0603
    _terminated = True
    if not _held and not _postponed(_terminate, frame):
        sys.exit(SIGTERM_STATUS)


def _unraisable(unraisable: UnraisableHookArgs) -> None:
    """Raise an interrupt that hit a destructor or a callback once more, where it is not swallowed."""
    if unraisable.exc_type is KeyboardInterrupt:
        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(unraisable)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let a short block, such as moving finished results into place, end before a signal is obeyed."""
    global _held  # noqa: PLW0603
    _held = True
    try:
        yield
    finally:
        _held = False
    if _terminated:
        sys.exit(SIGTERM_STATUS)
    if _seen:
        raise KeyboardInterrupt


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Own the signals while the command runs; afterwards a late Ctrl-C ends the process without a word.

    Raises
    ------
    SystemExit
        With status 1, after the line ``Aborted!``, when Ctrl-C was pressed where nothing else reports it.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _unraisable
    try:
        yield
    except Exception:
        if not interrupted():
            raise
        _abort()
    except KeyboardInterrupt:
        _abort()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _abort() -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write("Aborted!\n")
    sys.exit(1)
