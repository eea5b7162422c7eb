"""Actors on Ray: shards of one selection in several processes, or on several machines.

Ray is imported when it is first asked for: it is an extra (``pip install pni-fast[ray]``), and nothing else
of the package needs it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib import metadata
from types import TracebackType
from typing import Any

from pni_fast.errors import NotInstalledError, PniError, is_there

from .executors import Call
from .ray_cluster import AUTO, connect, prepared

LOSSES = 8
"""One actor is made again so often and no more: a machine that fails every time is no machine."""

STATE = ("begin", "take")
"""Methods that change what an actor knows; `begin` starts it anew. They are told again to one made again."""

COMPARED = ("pni-fast", "numpy", "openvino", "onnxruntime", "torch")
"""Packages whose versions decide bits."""


class _Host:
    """What Ray holds for an actor, in the actor's process."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self._error: PniError | None = None
        try:
            self._actor = make(*arguments)
        except PniError as error:  # Ray would take the actor for lost, and another would fail as well
            self._error = error

    def call(self, name: str, *arguments: Any) -> Any:
        if self._error is not None:
            raise self._error
        return getattr(self._actor, name)(*arguments)


class _Handle:
    """One actor, how to make it again, and what it has been told."""

    def __init__(self, number: int, start: Callable[[], Any]) -> None:
        self.number = number
        self.start = start
        self.remote = start()
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self.losses = 0

    def tell(self, name: str, arguments: tuple[Any, ...]) -> Any:
        return self.remote.call.remote(name, *arguments)


class RayExecutor:
    """Starts actors on a Ray cluster and calls them; those that are lost are made again.

    Parameters
    ----------
    address
        Of a running cluster, "host:port" or "ray://host:port"; "auto" is the one that this machine is part
        of, else a cluster of this machine's processors alone, which ends with the executor.
    actors
        How many will live at the same time; None: one a machine.
    gpus
        What Ray keeps free for each, beside its share of all processors.

    Attributes
    ----------
    actors, threads : int
        How many may live, and the processors of each, at least 1.

    Raises
    ------
    NotInstalledError
        Ray is not there.
    PniError
        Nothing answers at the address; a worker has other versions; the object store is full; an actor was
        lost too often.
    """

    def __init__(self, address: str = AUTO, *, actors: int | None = None, gpus: float = 0) -> None:
        if not is_there("ray"):
            raise NotInstalledError(
                "ray needs Ray, which is not installed here; install it with: pip install 'pni-fast[ray]'"
            )
        address = prepared(address)
        import ray

        self._ray: Any = ray
        self._handles: list[_Handle] = []
        self._started = 0
        self._given: dict[int, tuple[Any, Any]] = {}
        self._checked: set[str] = set()
        self._connected = not ray.is_initialized()
        if self._connected:
            connect(ray, address)
        try:
            self.actors = actors or len(self._machines())
            self._room = self._room_of(self.actors, gpus)
        except PniError:
            self.close()
            raise
        self.threads = max(int(self._room["num_cpus"]), 1)

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all actors, and the cluster where it is of this executor alone."""
        for handle in self._handles:
            self._ray.kill(handle.remote)
        self._handles = []
        if self._connected:
            self._ray.shutdown()

    def _machines(self) -> set[str]:
        """Return the names of all machines that are up."""
        return {str(node["NodeID"]) for node in self._ray.nodes() if node["Alive"]}

    def _room_of(self, actors: int, gpus: float) -> dict[str, float]:
        """Return what Ray is to keep free for each of some actors, so that all run at once."""
        has = self._ray.cluster_resources()
        if has.get("GPU", 0) < actors * gpus:
            raise PniError(
                f"ray: {actors} workers of {gpus:g} GPUs need {actors * gpus:g}, "
                f"the cluster has {has.get('GPU', 0):g}"
            )
        share = has.get("CPU", 0) / actors
        # Ray takes whole processors, or parts of one.
        return {"num_cpus": int(share) if share >= 1 else int(share * 1000) / 1000, "num_gpus": gpus}

    def start(self, make: Callable[..., Any], *arguments: Any) -> _Handle:
        """Return a handle of ``make(*arguments)``, in a process of its own somewhere in the cluster.

        A large argument that several actors get is in the object store once.

        Raises
        ------
        PniError
            The object store is full.
        """
        ray = self._ray
        stored = [self._put(argument, self._given) for argument in arguments]
        host = ray.remote(_Host).options(**self._room, max_restarts=0)
        self._started += 1
        handle = _Handle(self._started - 1, lambda: host.remote(make, *stored))
        self._handles.append(handle)
        return handle

    def stop(self, handle: _Handle) -> None:
        """End an actor."""
        self._ray.kill(handle.remote)
        self._handles.remove(handle)
        if not self._handles:
            self._given.clear()

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Make all calls at the same time and return their results in order; see :class:`Executor`.

        Raises
        ------
        PniError
            An actor was lost too often; the object store is full. What an actor raises is raised here.
        """
        self._check_versions([handle for handle, _, _ in calls])
        stored = self._stored(calls)
        asked = [handle.tell(name, sent) for (handle, name, _), sent in zip(calls, stored, strict=True)]
        results = [
            self._result(handle, name, sent, reference)
            for (handle, name, _), sent, reference in zip(calls, stored, asked, strict=True)
        ]
        for (handle, name, _), sent in zip(calls, stored, strict=True):
            if name in STATE:
                handle.told = [*([] if name == STATE[0] else handle.told), (name, sent)]
        return results

    def _stored(self, calls: Sequence[Call]) -> list[tuple[Any, ...]]:
        """Return the arguments of all calls; what is large is put into the object store once."""
        kept: dict[int, tuple[Any, Any]] = {}
        return [tuple(self._put(argument, kept) for argument in arguments) for _, _, arguments in calls]

    def _put(self, argument: Any, kept: dict[int, tuple[Any, Any]]) -> Any:
        """Return an argument, or what stands for it in the object store where it is large.

        `kept` holds those that are there, with the arguments: while they live their numbers are theirs.
        """
        if not _large(argument):
            return argument
        if id(argument) not in kept:
            try:
                kept[id(argument)] = argument, self._ray.put(argument)
            except self._ray.exceptions.ObjectStoreFullError as error:
                raise _full() from error
        return kept[id(argument)][1]

    def _result(self, handle: _Handle, name: str, arguments: tuple[Any, ...], reference: Any) -> Any:
        """Return what a call gave; where its actor is lost, make another and repeat the call."""
        failures = self._ray.exceptions
        while True:
            try:
                return self._ray.get(reference)
            except failures.RayTaskError as error:
                cause = error.cause
                if isinstance(cause, Exception):
                    raise cause from None
                raise
            except failures.ObjectStoreFullError as error:
                raise _full() from error
            except (failures.RayActorError, failures.ObjectLostError) as error:
                handle.losses += 1
                if handle.losses > LOSSES:
                    raise PniError(
                        f"ray: worker {handle.number} was lost {handle.losses} times; "
                        "its machine must stay up and have room for its rows"
                    ) from error
                handle.remote = handle.start()
                for earlier, told in handle.told:
                    handle.tell(earlier, told)  # an actor answers in the order it is asked
                reference = handle.tell(name, arguments)

    def _check_versions(self, handles: Sequence[_Handle]) -> None:
        """Refuse machines whose packages are others than here: their bits may be others too."""
        new = self._machines() - self._checked
        if not handles or not new:
            return
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        here, ask = _versions(), self._ray.remote(_versions)
        for node in sorted(new):
            told = ask.options(num_cpus=0, scheduling_strategy=On(node, soft=True)).remote()
            try:
                there = self._ray.get(told)
            except self._ray.exceptions.RayTaskError as error:
                why = str(error.cause).strip().splitlines()[-1]
                raise PniError(
                    f"ray: every machine must have the pni-fast of this one, {here['pni-fast']}; one cannot "
                    f"load it: {why}"
                ) from error
            for package in ("Python", *COMPARED):
                if there[package] != here[package]:
                    raise PniError(
                        f"ray: every machine must have the {package} of this one, {here[package] or 'none'}, "
                        f"got {there[package] or 'none'} on {there['host']}"
                    )
        self._checked |= new


def _versions() -> dict[str, str]:
    """Return the versions of this process, "" for what is not there, and the name of its machine."""
    found = {"host": platform.node(), "Python": ".".join(platform.python_version_tuple()[:2])}
    for package in COMPARED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = ""
    if not found["pni-fast"]:
        import pni_fast

        found["pni-fast"] = pni_fast.__version__
    return found


def _large(argument: Any) -> bool:
    """Whether an argument is an array that goes through the object store."""
    return getattr(argument, "nbytes", 0) > 1 << 16


def _full() -> PniError:
    return PniError("ray: the object store is full; start the cluster with a larger --object-store-memory")
