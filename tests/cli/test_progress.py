from __future__ import annotations

import io
import sys

import pytest
from pni_fast.cli import progress
from pni_fast.cli.progress import Bars, Lines, shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_lines_tell_begin_rate_estimate_and_end_of_each_stage():
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines("features", 0, 40)
    for done in (10, 20):
        clock.now += 10
        lines("features", done, 40)
    clock.now += 20
    lines("features", 40, 40)
    lines("coreset", 0, 0)
    clock.now += 10
    lines("coreset", 5, 0)
    lines.close()
    assert stream.getvalue().splitlines() == [
        "features: 40 to do",
        "features: 10/40 (1/s, 30 s left)",
        "features: 20/40 (1/s, 20 s left)",
        "features: 40/40 in 40.0 s (1/s)",
        "coreset: started",
        "coreset: 5 (0.5/s)",
        "coreset: 5 in 10.0 s (0.5/s)",
    ]


def test_lines_stay_few_however_often_progress_is_reported():
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    for done in range(10_001):
        clock.now += 0.0015
        lines("features", done, 10_000)
    lines.close()
    assert len(stream.getvalue().splitlines()) == 3  # begin, one after ten seconds, end


def test_bars_draw_one_bar_a_stage_with_rate_and_leave_it():
    stream = Terminal()
    bars = Bars(stream)
    for stage in ("features", "coreset"):
        for done in range(4):
            bars(stage, done, 3)
    bars.close()
    last = [line.split("\r")[-1] for line in stream.getvalue().rstrip().split("\n")]
    assert [line.split(":")[0] for line in last] == ["features", "coreset"]
    assert all("3/3" in line and "/s" in line for line in last)


def test_bars_show_a_count_while_the_total_is_unknown():
    stream = Terminal()
    bars = Bars(stream)
    bars("scoring", 2, 0)
    bars.close()
    assert "scoring: 2it" in stream.getvalue()


def test_quiet_shows_nothing(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with shown(quiet=True) as report:
        report("features", 1, 2)
    assert stream.getvalue() == ""


def test_a_terminal_gets_bars_and_a_file_gets_lines(monkeypatch):
    for stream, kind in ((Terminal(), Bars), (io.StringIO(), Lines)):
        monkeypatch.setattr(sys, "stderr", stream)
        with shown(quiet=False) as report:
            assert isinstance(report, kind)


def test_an_interrupted_stage_ends_its_line(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        with shown(quiet=False) as report:
            report("features", 1, 2)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert stream.getvalue().endswith("\n")
    assert progress.LINE_INTERVAL > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_bars_are_drawn_on_a_terminal_that_does_not_know_its_size():
    import pty

    master, slave = pty.openpty()
    with open(master, "rb", buffering=0) as screen, open(slave, "w") as terminal:  # noqa: PTH123  descriptors
        bars = Bars(terminal)
        bars("features", 1, 4)
        bars.close()
        assert b"features:" in screen.read(4096)
