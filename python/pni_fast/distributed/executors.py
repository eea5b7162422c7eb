"""Where shards are, and how they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from .shard import ShardActor

Call = tuple[Any, str, tuple[Any, ...]]
"""A shard's handle, the name of a method of :class:`ShardActor`, and its arguments."""


class Executor(Protocol):
    """Makes actors and calls them."""

    def start(self, make: Callable[..., ShardActor], *arguments: Any) -> Any:
        """Return a handle of ``make(*arguments)``, made where it is to live."""

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Make all calls, at the same time where that can be, and return their results in order.

        An executor that can lose an actor makes another in its place, with the same arguments, tells it
        `begin` and all `take` so far (one call of it will do), and repeats the call.
        """


class InProcess:
    """Actors in this process, called one after the other."""

    def start(self, make: Callable[..., ShardActor], *arguments: Any) -> Any:
        """Return the actor itself."""
        return make(*arguments)

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
