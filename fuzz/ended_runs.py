"""A command in a child of this process that ends at one of its file operations, and what is left (Linux)."""

from __future__ import annotations

import gc
import hashlib
import importlib
import mmap
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from pni_fast.cli import main
from pni_fast.cli.record import RECORD
from pni_fast.config.choices import RESULTS_MARK
from pni_fast.runtime.files import PREFIX

STATUS = {"kill": -signal.SIGKILL, "term": 128 + 15, "power": -signal.SIGKILL, "cut": -signal.SIGXFSZ}
"""How a command can be ended, and its exit status then."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FOLDER_ARGUMENT = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.chmod": 2}
"""Audit events that are counted, beside opening for writing, and which argument is a folder's handle."""

IMPORTED = ("pni_fast.cli.application", "pni_fast.synthetic", "pni_fast.presets")
WITH_NETWORKS = (
    *("pni_fast.model.pni", "pni_fast.model.size", "pni_fast.evaluation", "pni_fast.report"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.metrics", "skimage.measure"),
)
"""Modules that commands import when they need them: here once, for all children."""


def prepare(*, networks: bool) -> None:
    """Import what commands need, and let torch start no pool that a child could wait for."""
    if networks:
        import torch

        torch.set_num_threads(1)
    for name in (*IMPORTED, *(WITH_NETWORKS if networks else ())):
        importlib.import_module(name)
    gc.freeze()  # what a child does not touch is not copied for it


class Watch:
    """Count this process's file operations below a folder, and end it at one of them.

    `shared` is told how many there were, and the last.
    """

    def __init__(self, folder: Path, at: int, ending: str, shared: mmap.mmap) -> None:
        self.folder, self.at, self.ending, self.shared = folder, at, ending, shared
        self.busy, self.count = False, 0
        self.known = {_inode(path) for path in folder.rglob("*")} if folder.exists() else set()
        self.synced: set[tuple[int, int]] = set()
        os.fsync = self.fsync
        sys.addaudithook(self.hook)

    def fsync(self, handle: int) -> None:
        """Count a sync; the disk is spared it."""
        self.step("os.fsync", Path(f"/proc/self/fd/{handle}").readlink())
        held = os.fstat(handle)
        self.synced.add((held.st_dev, held.st_ino))

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count what the interpreter is about to do, if it writes."""
        if self.busy or (event != "open" and event not in FOLDER_ARGUMENT):
            return
        reads = event == "open" and not (arguments[2] or 0) & WRITES
        if reads or isinstance(arguments[0], int):
            return
        self.busy = True
        place = -1 if event == "open" else arguments[FOLDER_ARGUMENT[event]]
        base = Path() if place == -1 else Path(f"/proc/self/fd/{place}").readlink()
        paths = [base / os.fsdecode(path) for path in arguments[: 1 + (event == "os.rename")]]
        self.busy = False
        self.step(event, *paths)

    def step(self, event: str, *paths: Path) -> None:
        """Count one operation and end the process if it is the one."""
        if not any(self.folder in (path, *path.parents) for path in paths):
            return
        self.busy = True
        self.count += 1
        told = (
            f"{self.count} {event} {' to '.join(str(path.relative_to(self.folder.parent)) for path in paths)}"
        )
        self.shared[:] = told.encode()[: len(self.shared)].ljust(len(self.shared))
        if self.count == self.at:
            if self.ending == "power":
                self.lose()
            os.kill(os.getpid(), signal.SIGTERM if self.ending == "term" else signal.SIGKILL)
        for path in paths:  # an inode that is free may be given to another file
            moved = event == "os.rename" and path == paths[0]
            if event in ("open", "os.remove", "os.rename") and not moved and os.path.lexists(path):
                self.synced.discard(_inode(path))
                self.known.discard(_inode(path))
        self.busy = False

    def lose(self) -> None:
        """Empty every file that this process wrote and did not sync."""
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and _inode(path) not in self.known | self.synced:
                os.truncate(path, 0)


def _inode(path: Path) -> tuple[int, int]:
    held = path.lstat()
    return held.st_dev, held.st_ino


def run(arguments: list[str], place: Path, at: int = 0, ending: str = "") -> tuple[int, int, str]:
    """Run a command in a child that may be ended; return its status, operations and last words.

    For ``cut``, `at` is the size in bytes beyond which no file grows.
    """
    shared = mmap.mmap(-1, 200)
    with tempfile.TemporaryFile() as words:
        child = os.fork()
        if not child:
            status = 70
            try:
                os.dup2(words.fileno(), 1)
                os.dup2(words.fileno(), 2)
                sys.argv = ["pni-fast", *arguments]
                if ending == "cut":
                    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                    resource.setrlimit(resource.RLIMIT_FSIZE, (at, resource.RLIM_INFINITY))
                    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                Watch(place, 0 if ending == "cut" else at, ending, shared)
                main()
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        words.seek(0)
        said = words.read().decode(errors="replace").strip().splitlines()
    last = shared[:].strip(b" \0").decode(errors="replace")
    return status, int(last.partition(" ")[0] or 0), " | ".join([last.partition(" ")[2], *said[-1:]])


def tree(folder: Path) -> dict[str, str]:
    """Return what lies below a folder, by relative name: folders, links, digests and modes of files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mode:o}"
    return found


def unfinished(name: str) -> bool:
    """Whether a name is of something hidden that a finished run does not leave."""
    return any(part.startswith(PREFIX) and part not in (RECORD, RESULTS_MARK) for part in Path(name).parts)
