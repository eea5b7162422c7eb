"""The benches' clockwork: turns are taken, ratios are of medians, peers that are missing are named."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHES = Path(__file__).resolve().parent.parent.parent / "benches"


@pytest.fixture(scope="module")
def timing() -> ModuleType:
    if not (BENCHES / "timing.py").exists():
        pytest.skip("the benches are not part of this checkout")
    spec = importlib.util.spec_from_file_location("bench_timing", BENCHES / "timing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_turns_are_taken_and_answers_compared(timing: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    clock = iter([2.0, 6.0, 1.0, 4.0, 2.0, 8.0])
    monkeypatch.setattr(timing, "clock", lambda run: (next(clock), run()))
    case = timing.Case(
        "k",
        "10",
        "peer",
        lambda: turns.append("ours"),
        lambda: turns.append("peer"),
        same=lambda a, b: a is b,
    )
    row = timing.measure(case, 3)
    assert turns == ["ours", "peer"] * 3
    assert (row.ours, row.theirs, row.ratio) == (2.0, 6.0, 3.0)
    assert (row.low, row.high, row.rounds, row.agrees) == (3.0, 4.0, 3, True)


def test_one_different_answer_is_enough(timing: ModuleType) -> None:
    answers = iter([1, 2, 2])
    case = timing.Case("k", "10", "peer", lambda: 2, lambda: next(answers), same=lambda a, b: a == b)
    assert timing.measure(case, 3).agrees is False


def test_a_long_round_is_run_twice(timing: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "clock", lambda run: (30.0, run()))
    assert timing.measure(timing.Case("k", "10", "peer", int, int), 9).rounds == 2


def test_a_missing_peer_is_named(timing: ModuleType) -> None:
    row = timing.measure(timing.Case("k", "10", "faiss", int, None, missing="faiss (No module)"), 3)
    assert row.missing == "faiss (No module)"
    assert row.as_dict()["rounds"] == 0
