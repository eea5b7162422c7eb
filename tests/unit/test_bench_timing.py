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
    monkeypatch.setattr(timing, "clock", lambda run, _: ((took := next(clock)), took, run()))
    case = timing.Case(
        "k",
        "10",
        "peer",
        lambda: turns.append("ours"),
        lambda: turns.append("peer"),
        share=lambda a, b: a is b,
        exact=True,
    )
    row = timing.measure(case, 3)
    assert turns == ["ours", "peer"] * 3
    assert (row.ours, row.theirs, row.ratio) == (2.0, 6.0, 3.0)
    assert (row.low, row.high, row.rounds, row.share, row.wrong) == (3.0, 4.0, 3, 1.0, False)


def test_what_is_short_is_called_again_until_a_round_is_full(
    timing: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0.0, 0.25, 1.0, 1.5, 2.0, 4.0, 9.0, 9.1])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    assert timing.clock(lambda: "answer") == (0.5, 2.75, "answer")


@pytest.mark.parametrize("exact", [True, False])
def test_one_different_answer_of_an_exact_peer_is_wrong(timing: ModuleType, exact: bool) -> None:
    answers = iter([1, 2, 2])
    share = lambda a, b: float(a == b)  # noqa: E731
    case = timing.Case("k", "10", "peer", lambda: 2, lambda: next(answers), share=share, exact=exact)
    row = timing.measure(case, 3, seconds=0.0)
    assert row.share == 0
    assert row.wrong is exact


@pytest.mark.parametrize(("seconds", "rounds"), [(200.0, 1), (30.0, 1), (14.0, 2), (1.0, 9)])
def test_a_case_keeps_to_its_budget_but_runs_once(
    timing: ModuleType, monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int
) -> None:
    monkeypatch.setattr(timing, "clock", lambda run, _: (seconds, seconds, run()))
    assert timing.measure(timing.Case("k", "10", "peer", int, int), 9, budget=60.0).rounds == rounds


def test_a_missing_peer_is_named(timing: ModuleType) -> None:
    row = timing.measure(timing.Case("k", "10", "faiss", int, None, missing="faiss (No module)"), 3)
    assert row.missing == "faiss (No module)"
    assert row.as_dict()["rounds"] == 0


def test_the_exponent_is_that_of_the_power_law() -> None:
    pytest.importorskip("growth", reason="the benches are not part of this checkout")
    from growth import fit

    rows = [1_000, 2_000, 4_000]
    assert fit(rows, [3e-9 * n**1.5 for n in rows]) == pytest.approx(1.5)
