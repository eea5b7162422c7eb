"""How much memory this process may still take, by all that limits it; and amounts of bytes in words."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return the bytes this process may take beside what it has; very many where the system does not say."""
    return max(0, min([sys.maxsize, *_available(), *_of_group(), *_of_process()]))


def spoken_bytes(count: float) -> str:
    """Return an amount of bytes in words: 3.1 GB, 12 MB, 9 kB."""
    for name, unit in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= unit:
            return f"{count / unit:.0f} {name}" if unit == 1e6 else f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.0f} kB"


def _available() -> Iterator[int]:
    """Yield what the machine has: free, or held by files that can be read again."""
    if "MemAvailable" in (told := _numbers(PROC / "meminfo")):
        yield told["MemAvailable"] << 10


def _of_group() -> Iterator[int]:
    """Yield what the control group (a container's, a job's) and those around it leave; version 2."""
    with contextlib.suppress(OSError, ValueError):
        own = (PROC / "self/cgroup").read_text().partition("0::")[2].splitlines()[:1]
        group = CGROUPS / own[0].lstrip("/") if own else CGROUPS
        for folder in (group, *group.parents):
            if not folder.is_relative_to(CGROUPS):
                break
            with contextlib.suppress(OSError, ValueError):
                most = int((folder / "memory.max").read_text())  # "max": no limit
                taken = int((folder / "memory.current").read_text())
                yield most - taken + _numbers(folder / "memory.stat").get("file", 0)


def _of_process() -> Iterator[int]:
    """Yield what the limits of the process (`ulimit -d`, `ulimit -v`) leave."""
    try:
        import resource
    except ImportError:  # Windows
        return
    taken = _numbers(PROC / "self/status")
    for kind, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            yield limit - (taken.get(name, 0) << 10)


def _numbers(file: Path) -> Mapping[str, int]:
    """Return the whole numbers of a file of lines such as ``VmData: 12 kB`` or ``file 12``."""
    found = {}
    with contextlib.suppress(OSError):
        for line in file.read_text().splitlines():
            name, *rest = line.replace(":", " ").split()
            if rest and rest[0].isdecimal():
                found[name] = int(rest[0])
    return found
