"""What the kernels accept and refuse, and how they run: threads, SIMD levels, forks, Ctrl-C, progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from pni_fast import _core, kernels

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(200, 20)).astype(np.float32)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_other_layouts_and_types_give_the_same() -> None:
    expected = kernels.greedy_coreset(FEATURES, 20).indices
    wide = np.zeros((200, 40), dtype=np.float32)
    wide[:, ::2] = FEATURES
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(FEATURES.copy()).requires_grad_()
    for same in (
        FEATURES.astype(np.float64),
        np.asfortranarray(FEATURES),
        wide[:, ::2],
        tensor,
        FEATURES.tolist(),
    ):
        np.testing.assert_array_equal(kernels.greedy_coreset(same, 20).indices, expected)
    half = FEATURES.astype(np.float16)
    np.testing.assert_array_equal(
        kernels.greedy_coreset(half, 20).indices, kernels.greedy_coreset(half.astype(np.float32), 20).indices
    )
    brain = tensor.detach().bfloat16()
    np.testing.assert_array_equal(
        kernels.greedy_coreset(brain, 20).indices, kernels.greedy_coreset(brain.float(), 20).indices
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_read_only_memory_map_is_worked_on_in_place(
    tmp_path: Path, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "features.npy"
    np.save(path, FEATURES.astype(dtype))
    mapped = np.load(path, mmap_mode="r")
    seen = []
    core = _core.greedy_coreset
    monkeypatch.setattr(_core, "greedy_coreset", lambda *a: (seen.append(a[0]), core(*a))[1])
    found = kernels.greedy_coreset(mapped, 20)
    assert np.shares_memory(seen[0], mapped)
    np.testing.assert_array_equal(found.indices, kernels.greedy_coreset(FEATURES.astype(dtype), 20).indices)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(7, 7), (np.int64(7), 7), (0.1, 20), (0.29, 58), (1.0, 200), (1e-9, 1), (np.float32(0.5), 100)],
)
def test_size(size: float, expected: int) -> None:
    assert len(kernels.greedy_coreset(FEATURES, size).indices) == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: kernels.greedy_coreset(FEATURES, 0),
            ValueError,
            r"size must be an int in \[1, 200\], got 0",
        ),
        (
            lambda: kernels.greedy_coreset(FEATURES, 201),
            ValueError,
            r"size must be an int in \[1, 200\], got 201",
        ),
        (lambda: kernels.greedy_coreset(FEATURES, 1.5), ValueError, r"a float in \(0, 1\], got 1.5"),
        (lambda: kernels.greedy_coreset(FEATURES, float("nan")), ValueError, "got nan"),
        (
            lambda: kernels.greedy_coreset(FEATURES, True),
            TypeError,
            "size must be an int or a float, got True",
        ),
        (lambda: kernels.greedy_coreset(FEATURES, "1%"), TypeError, "got '1%'"),
        (
            lambda: kernels.greedy_coreset(FEATURES, 3, start=200),
            ValueError,
            r"start must be .*\[0, 199\], got 200",
        ),
        (lambda: kernels.greedy_coreset(FEATURES, 3, start=-1), ValueError, "got -1"),
        (
            lambda: kernels.greedy_coreset(FEATURES, 3, assign=4),
            ValueError,
            r"assign must be .*\[1, 3\], got 4",
        ),
        (
            lambda: kernels.greedy_coreset(FEATURES, 3, num_threads=0),
            ValueError,
            "num_threads must be .* got 0",
        ),
        (
            lambda: kernels.greedy_coreset(FEATURES, 3, initial=FEATURES[:, :5]),
            ValueError,
            "initial must be .*20 columns.* got 5",
        ),
        (lambda: kernels.greedy_coreset(FEATURES[0], 3), ValueError, r"2-dimensional .* got shape \(20,\)"),
        (
            lambda: kernels.greedy_coreset(np.zeros((0, 4)), 1),
            ValueError,
            r"at least one row .* got shape \(0, 4\)",
        ),
        (
            lambda: kernels.greedy_coreset(np.zeros((4, 0)), 1),
            ValueError,
            r"at least one row .* got shape \(4, 0\)",
        ),
        (lambda: kernels.greedy_coreset(FEATURES * 1j, 1), TypeError, "real numbers, got dtype complex"),
        (lambda: kernels.greedy_coreset([[object()]], 1), TypeError, "real numbers, got dtype object"),
        (lambda: kernels.greedy_coreset([[1.0], [1.0, 2.0]], 1), ValueError, "features must be an array"),
        (lambda: kernels.nearest(FEATURES, FEATURES[:, :3]), ValueError, "centers must be .*20 columns"),
        (
            lambda: kernels.position_histogram([[[0, 3]]], 3),
            ValueError,
            "labels must be labels from 0 .* got 3",
        ),
        (lambda: kernels.position_histogram([[[0, -1]]], 3), ValueError, "got -1"),
        (
            lambda: kernels.position_histogram([[[0, 1]]], 3, patch=4),
            ValueError,
            "patch must be an odd .* got 4",
        ),
        (lambda: kernels.position_histogram([[0, 1]], 3), ValueError, "3-dimensional"),
        (lambda: kernels.position_histogram([[[0.5]]], 3), TypeError, "integers, got dtype float64"),
        (lambda: kernels.position_histogram(np.zeros((0, 2, 2), int), 3), ValueError, "at least one image"),
        (
            lambda: kernels.max_likelihood(FEATURES, FEATURES, [0], np.ones((200, 1), bool)),
            ValueError,
            "groups must have one entry",
        ),
        (
            lambda: kernels.max_likelihood(FEATURES, FEATURES[:1], [1], np.ones((200, 1), bool)),
            ValueError,
            "from 0 to 0, got 1",
        ),
        (
            lambda: kernels.max_likelihood(FEATURES, FEATURES[:1], [0], np.ones((3, 1), bool)),
            ValueError,
            r"shape \(200, groups\)",
        ),
        (
            lambda: kernels.max_likelihood(FEATURES, FEATURES[:1], [0], np.ones((200, 1))),
            TypeError,
            "allowed must be bool",
        ),
    ],
)
def test_bad_arguments_are_named(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (157, 19), (199, 3)])
def test_values_that_are_not_finite_are_refused_with_their_row(value: float, row: int, column: int) -> None:
    bad = FEATURES.astype(np.float64)
    bad[row, column] = value
    bad[199, 7] = np.nan
    for call in (
        lambda: kernels.greedy_coreset(bad, 5),
        lambda: kernels.nearest(bad, FEATURES),
        lambda: kernels.max_likelihood(bad, FEATURES, np.zeros(200, int), np.ones((200, 1), bool)),
    ):
        with pytest.raises(ValueError, match=rf"features must hold finite .* in row {row}$"):
            call()
    with pytest.raises(ValueError, match=rf"initial must hold finite .* in row {row}$"):
        kernels.greedy_coreset(FEATURES, 5, initial=bad)
    with pytest.raises(ValueError, match=rf"centers must hold finite .* in row {row}$"):
        kernels.nearest(FEATURES, bad)


@pytest.mark.parametrize("columns", [64, 65, 300])
def test_the_lowest_bad_row_is_named_in_wide_data(columns: int) -> None:
    bad = RNG.normal(size=(5_000, columns)).astype(np.float32)
    bad[[1234, 4000, 4999], columns - 1] = np.nan
    with pytest.raises(ValueError, match=r"in row 1234$"):
        kernels.greedy_coreset(bad, 5)


def test_the_lowest_bad_row_is_named_whichever_thread_is_first() -> None:
    bad = np.full((64 * 200, 40), np.nan, dtype=np.float32)  # a bad row in every part that a thread takes
    for _ in range(500):
        with pytest.raises(ValueError, match=r"in row 0$"):
            kernels.nearest(bad, RNG.normal(size=(64, 40)).astype(np.float32), num_threads=16)


def test_progress_counts_the_picks() -> None:
    calls: list[tuple[int, int]] = []
    kernels.greedy_coreset(FEATURES, 50, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (50, 50)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_an_error_in_progress_stops_the_run() -> None:
    def fail(done: int, total: int) -> None:
        raise RuntimeError(f"stop at {done} of {total}")

    with pytest.raises(RuntimeError, match=r"stop at .* of 50"):
        kernels.greedy_coreset(FEATURES, 50, progress=fail)


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNI_FAST_NUM_THREADS", "3")
    assert _core.num_threads() == 3
    assert _core.num_threads(2) == 2
    monkeypatch.setenv("PNI_FAST_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="PNI_FAST_NUM_THREADS must be an integer of at least 1, got many"):
        kernels.greedy_coreset(FEATURES, 3)
    monkeypatch.delenv("PNI_FAST_NUM_THREADS")
    for level in _core.simd_levels():
        monkeypatch.setenv("PNI_FAST_SIMD", level)
        assert _core.simd_level() == level
    monkeypatch.setenv("PNI_FAST_SIMD", "mmx")
    with pytest.raises(ValueError, match=r"PNI_FAST_SIMD must be one of scalar.* got mmx"):
        kernels.greedy_coreset(FEATURES, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kernels_work_after_a_fork() -> None:
    code = """
        import os
        import numpy as np
        from pni_fast import _core, kernels
        features = np.random.default_rng(0).normal(size=(3000, 30)).astype(np.float32)
        os.environ.pop("PNI_FAST_NUM_THREADS", None)
        before = kernels.greedy_coreset(features, 50, num_threads=3).indices
        child = os.fork()
        if child == 0:
            found = [kernels.greedy_coreset(features, 50, num_threads=t).indices for t in (None, 3)]
            same = all((indices == before).all() for indices in found)
            os._exit(0 if same and _core.num_threads() == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert _core.num_threads() >= 1
    """
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_data_loader_workers_get_one_thread() -> None:
    code = """
        from unittest import mock
        import torch.utils.data
        from pni_fast.kernels.arguments import as_threads
        assert as_threads(None) is None
        with mock.patch("torch.utils.data.get_worker_info", return_value=object()):
            assert as_threads(None) == 1
            assert as_threads(4) == 4
    """
    pytest.importorskip("torch")
    result = run(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
@pytest.mark.parametrize("call", ["greedy_coreset(x, 100_000)", "_scan_coreset(x, 100_000)", "nearest(x, x)"])
def test_ctrl_c_ends_with_keyboard_interrupt(call: str) -> None:
    code = f"""
        import signal
        import numpy as np
        from pni_fast import _core
        # A test run started in the background inherits an ignored SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        x = np.random.default_rng(0).normal(size=(200_000, 200)).astype(np.float32)
        print("ready", flush=True)
        _core.{call}
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert child.returncode != 0
