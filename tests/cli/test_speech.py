"""Names of strangers reach a terminal without their power over it."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from pni_fast.cli.failures import Application
from pni_fast.cli.progress import Bars, Lines, shown
from pni_fast.cli.speech import printable, say
from pni_fast.cli.summary import print_json, warn_skipped
from pni_fast.errors import DataError

EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202e.png"
SAFE = "a\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202e.png"


def test_what_steers_a_terminal_is_written_as_its_escape():
    assert printable(EVIL) == SAFE
    assert printable("螺丝 é \U0001f600 x") == "螺丝 é \U0001f600 x"
    assert printable(os.fsdecode(b"a\xff")) == "a\\xff"
    assert printable("a\nb\tc") == "a\nb\tc"
    assert printable("a\nb\r", keep="") == "a\\x0ab\\x0d"


def harmless(text):
    return "\x1b" not in text and "\x07" not in text and "\x9b" not in text and "\u202e" not in text


@pytest.mark.parametrize("kind", [DataError, click.ClickException, click.UsageError, OSError])
def test_every_error_is_harmless(kind):
    @click.group(cls=Application)
    def group():
        pass

    @group.command()
    @click.option("--device", type=click.Choice(["cpu"]))
    def work(**_):
        raise kind(EVIL)

    for arguments in (["work"], ["work", "--device", EVIL], ["work", EVIL], [EVIL], [f"--{EVIL}"]):
        result = CliRunner().invoke(group, arguments)
        assert result.exit_code in (1, 2)
        assert result.stderr
        assert harmless(result.stderr), result.stderr


@pytest.mark.parametrize("renderer", [Lines, Bars])
def test_progress_and_lists_are_harmless(renderer, capsys):
    stream = io.StringIO()
    report = renderer(stream)
    report(EVIL, 1, 2)
    report.close()
    assert SAFE in stream.getvalue()
    warn_skipped([(EVIL, f"{EVIL}:\nbroken")])
    say(EVIL)
    print_json({"path": EVIL})
    told = capsys.readouterr()
    assert harmless(stream.getvalue().replace("\x1b[A", "")), repr(stream.getvalue())
    assert harmless(told.out + told.err)
    assert told.err.splitlines()[1:] == [f"  {SAFE}: broken"]


def test_json_has_no_nan(capsys):
    print_json({"a": float("nan"), "b": [float("inf"), 1.5, {"c": float("-inf")}], "d": (1, None)})
    text = capsys.readouterr().out
    assert "NaN" not in text
    assert "Infinity" not in text
    assert text.count("null") == 4


def test_without_standard_error_nothing_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    with shown(quiet=False) as report:
        report("features", 1, 2)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- 2>&-"])
def test_a_closed_standard_error_is_no_failure(environment, tmp_path, closed):
    import numpy as np

    np.save(tmp_path / "f.npy", np.eye(5, dtype=np.float32))
    line = f"exec '{sys.executable}' -m pni_fast coreset f.npy --size 3 -o i.npy {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, check=False, timeout=120)
    assert done.returncode == 0
    assert len(np.load(tmp_path / "i.npy")) == 3
    done = subprocess.run(
        ["sh", "-c", line.replace("f.npy", "none.npy")],
        cwd=tmp_path,
        env=environment,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1


def test_the_package_runs_as_a_module(environment):
    done = subprocess.run(
        [sys.executable, "-m", "pni_fast", "--version"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pni-fast ")
