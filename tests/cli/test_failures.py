from __future__ import annotations

import errno

import click
import pytest
from click.testing import CliRunner
from pni_fast.cli import interrupts
from pni_fast.cli.failures import Application, describe
from pni_fast.errors import DataError, ModelFileError, PniError, WeightsError


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize("kind", [PniError, DataError, WeightsError, ModelFileError])
def test_a_library_error_is_its_own_line(kind):
    assert (
        describe(kind("a.png: must be\n  an image, got a folder")) == "a.png: must be an image, got a folder"
    )


def test_an_os_error_names_file_and_reason():
    assert describe(OSError(errno.ENOSPC, "No space left on device", "out/scores.csv")) == (
        "out/scores.csv: No space left on device"
    )
    assert describe(OSError("read failed")) == "read failed"


def test_memory_errors_say_what_to_change():
    assert "--coreset-ratio" in describe(MemoryError())
    assert "--device cpu" in describe(OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"))


def test_a_defect_of_the_program_is_not_dressed_up():
    assert describe(ZeroDivisionError()) is None


def raising(error: BaseException):
    @click.group(cls=Application)
    def group():
        pass

    @group.command()
    def work():
        raise error

    return CliRunner().invoke(group, ["work"])


def test_status_and_stream_of_an_error():
    result = raising(DataError("x: empty"))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: x: empty\n")


def test_an_interrupt_is_one_line():
    result = raising(KeyboardInterrupt())
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Aborted!\n")


def test_an_interrupt_that_a_library_turned_into_another_error_is_still_an_interrupt(monkeypatch):
    monkeypatch.setattr(interrupts, "_seen", True)
    result = raising(ImportError("cannot import name 'Tensor' from partially initialized module"))
    assert (result.exit_code, result.stderr) == (1, "Aborted!\n")


def test_a_defect_keeps_its_traceback():
    result = raising(ZeroDivisionError("defect"))
    assert isinstance(result.exception, ZeroDivisionError)
