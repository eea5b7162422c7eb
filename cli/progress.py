"""How progress is shown: a bar per stage on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

from .speech import printable

LINE_INTERVAL = 10.0
"""Seconds between two plain lines of one stage."""


class Shown(Protocol):
    """What a library function reports its progress and its lines to."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` items of `stage` are finished."""

    def tell(self, line: str) -> None:
        """Show a line of its own."""

    def close(self) -> None:
        """Finish what is shown."""


class Nothing:
    """Nobody listens."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show nothing."""

    def tell(self, line: str) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing is open."""


class Bars:
    """One tqdm bar per stage, with rate and estimate; a finished bar stays on the screen."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage: str | None = None
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` items of `stage` are finished."""
        if stage != self._stage:
            self.close()
            from tqdm import tqdm

            self._stage = stage
            sized = _knows_its_width(self._stream)
            self._bar = tqdm(
                desc=printable(stage, keep=""),
                total=total or None,
                file=self._stream,
                dynamic_ncols=sized,
                ncols=None if sized else 80,
                nrows=None if sized else 24,
            )
        if total and self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def tell(self, line: str) -> None:
        """Write a line of its own, after the bar before it."""
        self.close()
        self._stream.write(printable(line, keep="") + "\n")
        self._stream.flush()

    def close(self) -> None:
        """End the current bar's line."""
        if self._bar is not None:
            self._bar.close()
        self._stage = self._bar = None


def _knows_its_width(stream: TextIO) -> bool:
    """Whether the terminal tells its columns; some say 0 by 0, where tqdm draws nothing."""
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError):
        return False


class Lines:
    """A line when a stage begins, every `LINE_INTERVAL` seconds, and when it ends."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._stage: str | None = None
        self._done = self._total = 0
        self._began = self._spoke = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` items of `stage` are finished."""
        now = self._clock()
        if stage != self._stage:
            self.close()
            self._stage, self._began, self._spoke = stage, now, now
            self._done, self._total = done, total
            self._say(f"{stage}: {total} to do" if total else f"{stage}: started")
        self._done, self._total = done, total
        if done and done != total and now - self._spoke >= LINE_INTERVAL:
            self._spoke = now
            rate = done / max(now - self._began, 1e-9)
            if total:
                self._say(f"{stage}: {done}/{total} ({rate:.3g}/s, {(total - done) / rate:.0f} s left)")
            else:
                self._say(f"{stage}: {done} ({rate:.3g}/s)")

    def tell(self, line: str) -> None:
        """Write a line of its own, after the stage before it."""
        self.close()
        self._say(line)

    def close(self) -> None:
        """Report how far the current stage came."""
        if self._stage is None:
            return
        seconds = self._clock() - self._began
        reached = f"{self._done}/{self._total}" if self._total else f"{self._done}"
        self._say(f"{self._stage}: {reached} in {seconds:.1f} s ({self._done / max(seconds, 1e-9):.3g}/s)")
        self._stage = None

    def _say(self, line: str) -> None:
        self._stream.write(printable(line, keep="") + "\n")
        self._stream.flush()


@contextlib.contextmanager
def shown(*, quiet: bool) -> Iterator[Shown]:
    """Yield the callable that a library function reports its progress to; it writes to standard error."""
    if quiet or sys.stderr is None:
        yield Nothing()
        return
    renderer: Shown = Bars(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)
    with contextlib.closing(renderer):
        yield renderer
