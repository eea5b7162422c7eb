"""Commands in processes of their own that need not import torch: forks of one process that has.

A start takes milliseconds, not the seconds of that import. All else is as in any process: its streams, its
signals, its status, its end. What a module reads from the environment at its import was read before.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO

FORKS = sys.platform == "linux"
"""Elsewhere a command is started anew: Windows has no forks, and macOS forbids its libraries in them."""

IMPORTED = (
    "timm",
    "pni_fast.cli.application",
    "pni_fast.cli.fit",
    "pni_fast.model.pni",
    "pni_fast.benchmark",
)


NOTHING_ELSE: Mapping[str, str] = MappingProxyType({})


class Started:
    """A running fork, as `subprocess.Popen` has it; what it prints can be read once it has ended."""

    def __init__(self, channel: socket.socket, request: dict[str, object]) -> None:
        self._channel = channel
        self.returncode: int | None = None
        self.stdout: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115
        told, self._tell = os.pipe()
        self.stderr: IO[str] = os.fdopen(told)
        handles = array.array("i", [self.stdout.fileno(), self._tell])
        content = json.dumps(request).encode()
        channel.sendmsg(
            [len(content).to_bytes(4, "little")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)]
        )
        channel.sendall(content)
        os.close(self._tell)
        self.pid = read_number(channel)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._channel], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = read_number(self._channel)
            self.stdout.seek(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        errors = self.stderr.read()
        self.wait()
        output = self.stdout.read()
        self.close()
        return output, errors

    def close(self) -> None:
        self.stdout.close()
        self.stderr.close()


class Starter:
    """The process that has imported torch; one fork of it runs at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._channel: socket.socket | None = None
        self._last: Started | None = None

    def start(
        self, *command: object, environment: Mapping[str, str] = NOTHING_ELSE
    ) -> Started | subprocess.Popen[str]:
        """Start ``python COMMAND``: ``-m module``, ``-c code`` or a script, and its arguments.

        `environment` holds variables beside the starter's own.
        """
        if not FORKS:
            return subprocess.Popen(
                [sys.executable, *map(str, command)],
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        if self._channel is None:
            self._channel, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, __file__, str(theirs.fileno())],
                    env=self._environment,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
        if self._last is not None and self._last.poll() is None:
            self._last.kill()
            self._last.wait()
        request = {
            "command": [str(part) for part in command],
            "environment": {**self._environment, **environment},
            "folder": os.getcwd(),  # noqa: PTH109
        }
        self._last = Started(self._channel, request)
        return self._last

    def run(
        self, *command: object, environment: Mapping[str, str] = NOTHING_ELSE
    ) -> subprocess.CompletedProcess[str]:
        """Start a command and wait for its end."""
        started = self.start(*command, environment=environment)
        output, errors = started.communicate()
        assert started.returncode is not None
        return subprocess.CompletedProcess(command, started.returncode, output, errors)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._process.wait()


def read_number(channel: socket.socket) -> int:
    content = channel.recv(4, socket.MSG_WAITALL)
    if len(content) < 4:
        raise RuntimeError("the process that starts others has ended")
    return int.from_bytes(content, "little", signed=True)


def serve(channel: socket.socket) -> list[str]:
    """Fork at each request and tell the fork's id and status; return in the fork, with its command."""
    while True:
        head, handles, *_ = socket.recv_fds(channel, 4, 2)
        if not head:
            raise SystemExit
        length = int.from_bytes(head, "little")
        request = json.loads(channel.recv(length, socket.MSG_WAITALL))
        with warnings.catch_warnings():
            # From 3.12 on Python warns of threads; those of OpenBLAS, the only ones, end before a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            break
        for handle in handles:
            os.close(handle)
        channel.sendall(child.to_bytes(4, "little"))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        channel.sendall(status.to_bytes(4, "little", signed=True))
    channel.close()
    for handle, stream in zip(handles, (1, 2), strict=True):
        os.dup2(handle, stream)
        os.close(handle)
    os.environ.clear()
    os.environ.update(request["environment"])
    added = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in added if path and path not in sys.path]
    os.chdir(request["folder"])
    return request["command"]


def execute(command: list[str]) -> None:
    """Do what Python does with such a command line."""
    if command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    elif command[0] == "-c":
        sys.argv = ["-c", *command[2:]]
        exec(compile(command[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            __import__(name)
    execute(serve(socket.socket(fileno=int(sys.argv[1]))))
