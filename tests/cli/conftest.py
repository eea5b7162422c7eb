"""The command inside this process, and what every failure must look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from click.testing import CliRunner, Result
from pni_fast.cli.application import application

Invoke = Callable[..., Result]


@pytest.fixture
def invoke() -> Invoke:
    """Return a call of the command with the given arguments."""

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(
            application, [str(argument) for argument in arguments], prog_name="pni-fast"
        )

    return call


@pytest.fixture
def refused(invoke: Invoke) -> Callable[..., str]:
    """Return a call that must fail with status 1 and one line; the line without its ``Error: ``."""

    def call(*arguments: object) -> str:
        result = invoke(*arguments)
        assert result.exit_code == 1, (result.exit_code, result.output, result.exception)
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.stdout == ""
        lines = [line for line in result.stderr.splitlines() if not is_progress(line)]
        assert len(lines) == 1, lines
        assert lines[0].startswith("Error: ")
        return lines[0].removeprefix("Error: ")

    return call


@pytest.fixture
def small_files() -> Callable[[], AbstractContextManager[None]]:
    """Return a block in which no file grows above 100 bytes, as on a full disk or under `ulimit -f`.

    A block and no longer: what pytest itself writes between tests may be a longer file.
    """
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def is_progress(line: str) -> bool:
    """Whether `line` is one that `cli.progress.Lines` writes, or says how much room features take."""
    marks = (" to do", ": started", "/s)", " s left)")
    return line.startswith("features: ") or any(mark in line for mark in marks)
