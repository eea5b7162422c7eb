"""Where shards are, and how they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

Call = tuple[Any, str, tuple[Any, ...]]
"""An actor's handle, the name of one of its methods, and the arguments."""


class Executor(Protocol):
    """Makes actors and calls them."""

    def start(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """Return a handle of ``make(*arguments)``, made where it is to live."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Make all calls, at the same time where that can be, and return their results in order.

        An executor that can lose an actor makes another in its place, with the same arguments, tells it
        `begin` and all `take` so far (one call of it will do), and repeats the call.
        """

    def stop(self, handle: Any) -> None:
        """End an actor that is called no more."""


class InProcess:
    """Actors in this process, called one after the other."""

    def start(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """Return the actor itself."""
        return make(*arguments)

    def stop(self, handle: Any) -> None:
        """Do nothing: it goes with its last name."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results in order."""
        return [getattr(actor, name)(*arguments) for actor, name, arguments in calls]


class Threads(InProcess):
    """Actors in this process, each call in a thread of its own: kernels run without the GIL."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results in order."""
        with ThreadPoolExecutor(max_workers=max(len(calls), 1)) as pool:
            started = [pool.submit(getattr(actor, name), *arguments) for actor, name, arguments in calls]
            return [future.result() for future in started]
