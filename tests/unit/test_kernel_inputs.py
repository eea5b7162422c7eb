"""What the kernels take, what they make of wide numbers, and what they do where there is no room."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pni_fast import _core, kernels
from pni_fast.kernels import narrowing

X = np.random.default_rng(0).normal(size=(200, 20)).astype(np.float32)
FAR = np.array([500_000.0, 4_649_776.0])
NEAR = np.array([[0.0, 0.0], [0.01, 0.0], [0.8, 0.0], [0.0, 0.71]])


def unaligned(array: np.ndarray) -> np.ndarray:
    room = np.zeros(array.nbytes + 1, np.uint8)
    view = room[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def test_points_far_from_zero_are_told_apart() -> None:
    found = kernels.greedy_coreset(NEAR + FAR, 4)
    np.testing.assert_array_equal(found.indices, [0, 2, 3, 1])
    np.testing.assert_allclose(found.radii[1:], [0.80, 0.71, 0.01], rtol=1e-5)
    grown = kernels.greedy_coreset(NEAR + FAR, 3, initial=(NEAR + FAR)[:1])
    np.testing.assert_array_equal(grown.indices, [2, 3, 1])
    indices, distances = kernels.nearest(NEAR + FAR + [0.001, 0], NEAR + FAR)
    np.testing.assert_array_equal(indices, range(4))
    np.testing.assert_allclose(distances, 0.001, rtol=1e-3)
    distances, indices = kernels.max_likelihood(NEAR + FAR, NEAR + FAR, range(4), np.eye(4, dtype=bool))
    np.testing.assert_array_equal(indices, range(4))
    np.testing.assert_array_equal(distances, 0)


def test_ties_of_a_grid_far_from_zero_stay_ties() -> None:
    grid = np.stack(np.meshgrid(np.arange(7), np.arange(7)), -1).reshape(-1, 2) * 0.25
    expected = kernels.greedy_coreset(grid, 49)
    moved = kernels.greedy_coreset(grid + FAR, 49)
    np.testing.assert_array_equal(moved.indices, expected.indices)
    np.testing.assert_array_equal(moved.radii, expected.radii)


@pytest.mark.parametrize(
    ("base", "dtype"),
    [
        (1_700_000_000_000_000_000, np.int64),
        (2**60, np.int64),
        (2**63 - 101, np.int64),
        (-(2**63), np.int64),
        (2**63 - 50, np.uint64),
        (2**64 - 101, np.uint64),
        (2**60, object),
        (2**64 - 101, object),
    ],
)
def test_integers_that_float64_cannot_hold_are_told_apart(base: int, dtype: type) -> None:
    steps = [0, 40, 100, 90, 7]
    rows = np.array([[base + step, step] for step in steps], dtype)
    expected = kernels.greedy_coreset([[step, step] for step in steps], 5)
    found = kernels.greedy_coreset(rows, 5)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.radii, expected.radii)
    indices, distances = kernels.nearest(rows, rows[::-1])
    np.testing.assert_array_equal(indices, [4, 3, 2, 1, 0])
    np.testing.assert_array_equal(distances, 0)


def test_integers_of_several_types_are_compared_as_integers() -> None:
    signed, unsigned = np.array([[2**63 - 3], [2**63 - 1]]), np.array([[2**63 + 5]], np.uint64)
    assert kernels.nearest(unsigned, signed)[1].tolist() == [6]
    assert kernels.nearest(signed, unsigned)[1].tolist() == [8, 6]
    assert kernels.nearest(signed, [[2.0**63]])[1].tolist() == [3, 1]
    assert kernels.nearest(signed.astype(">i8"), unsigned)[1].tolist() == [8, 6]


def test_integers_farther_apart_than_int64_can_say_are_near_enough() -> None:
    ends = np.array([[-(2**63)], [2**62]]), np.array([[2**64 - 1], [0]], np.uint64)
    indices, distances = kernels.nearest(*ends)
    np.testing.assert_array_equal(indices, [1, 1])
    np.testing.assert_allclose(distances, [2.0**63, 2.0**62])
    np.testing.assert_allclose(kernels.nearest([[-(2**63)]], ends[1][:1])[1], 1.5 * 2.0**64)
    np.testing.assert_allclose(kernels.nearest(ends[0], [[1e30]])[1], 1e30)


def test_integers_that_float32_holds_stay_what_they_are() -> None:
    rows = np.array([[2**60, -(2**63)], [3 * 2**60, 2**62], [0, 0]])
    expected = kernels.greedy_coreset(rows.astype(np.float32), 3)
    np.testing.assert_array_equal(kernels.greedy_coreset(rows, 3).radii, expected.radii)


@pytest.mark.parametrize(
    ("call", "name", "smallest"),
    [
        (lambda: kernels.nearest([[3e-50]], [[0.0], [3e-50]]), "features", "3e-50"),
        (lambda: kernels.nearest([[0.0]], [[2e-50], [3e-50]]), "centers", "2e-50"),
        (lambda: kernels.greedy_coreset([[0.0], [1e-50], [5e-50], [3e-50]], 3), "features", "1e-50"),
        (lambda: kernels.greedy_coreset([[0.0]], 1, initial=[[-1e-40]]), "initial", "1e-40"),
        (lambda: kernels.max_likelihood([[1e-300]], [[0.0]], [0], [[True]]), "features", "1e-300"),
        (lambda: kernels.greedy_coreset([[1.0, 0.0], [1.0, 1e-44]], 2), "features", "1e-44"),
    ],
)
def test_values_too_small_for_float32_are_refused(
    call: Callable[[], object], name: str, smallest: str
) -> None:
    message = (
        f"^{name} must have a value at least 1.18e-38 from .* got none, .* is {smallest}; multiply the data"
    )
    with pytest.raises(ValueError, match=message):
        call()


def test_small_values_beside_others_are_taken() -> None:
    found = kernels.greedy_coreset([[0.0, 1e-50], [1e-50, -1e-310], [0.1, 0.0]], 3)
    np.testing.assert_array_equal(found.indices, [0, 2, 1])
    assert kernels.nearest([[0.7]], [[0.0], [3e-50], [0.7]])[0].tolist() == [2]
    scales = np.array([[0.0], [1e-50], [5e-50], [3e-50]]) * 2.0**100
    np.testing.assert_array_equal(kernels.greedy_coreset(scales, 4).indices, [0, 2, 3, 1])
    for same in ([[1e-50]], [[1e-50, 0.1]] * 2, [[3 * 2.0**-149], [2.0**-149]]):  # nothing is lost
        kernels.greedy_coreset(same, 1)


@pytest.mark.parametrize("huge", [1.0, 9e36, 2e37, -3e38])
def test_a_huge_column_leaves_the_others_told_apart(huge: float) -> None:
    indices, distances = kernels.nearest([[huge, 1e8 + 1]], [[huge, 1e8], [huge, 1e8 + 1]])
    assert (indices.tolist(), distances.tolist()) == ([1], [0])


def test_float64_that_float32_holds_gives_the_same_bits() -> None:
    expected, found = (kernels.greedy_coreset(x, 50) for x in (X, X.astype(np.float64)))
    np.testing.assert_array_equal(found.radii, expected.radii)


def test_arrays_that_are_not_aligned_are_copied(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 5, (3, 6, 7))
    groups, allowed = np.arange(200) % 5, np.ones((200, 5), bool)
    (tmp_path / "raw").write_bytes(b"x" + X.tobytes())
    mapped = np.memmap(tmp_path / "raw", np.float32, "r", offset=1, shape=X.shape)
    expected = kernels.greedy_coreset(X, 9).indices
    for features in (unaligned(X), mapped, X.astype(">f4"), unaligned(X.astype(np.float64))):
        np.testing.assert_array_equal(kernels.greedy_coreset(features, 9).indices, expected)
    np.testing.assert_array_equal(
        kernels.position_histogram(unaligned(labels), 5), kernels.position_histogram(labels, 5)
    )
    found = kernels.max_likelihood(unaligned(X), X, unaligned(groups), allowed)
    np.testing.assert_array_equal(found[1], range(200))
    with pytest.raises(TypeError, match="expected an aligned array"):
        _core.greedy_coreset(unaligned(X), 9)


def test_frames_and_masks() -> None:
    pandas = pytest.importorskip("pandas")
    columns = [f"c{i}" for i in range(20)]
    frame = pandas.DataFrame(X, columns=columns)
    expected = kernels.greedy_coreset(X, 9).indices
    for features in (frame, frame.astype(object), frame.astype("Float64")):
        np.testing.assert_array_equal(kernels.greedy_coreset(features, 9).indices, expected)
    with pytest.raises(ValueError, match="centers must have the columns of features in their order, got"):
        kernels.nearest(frame, frame[columns[::-1]])
    allowed = pandas.DataFrame(np.ones((200, 1), bool)).astype(object)
    assert kernels.max_likelihood(frame, frame, [0] * 200, allowed)[1].tolist() == list(range(200))


def test_images_are_arrays() -> None:
    from PIL import Image

    grey = np.random.default_rng(0).integers(0, 200, (30, 4), np.uint8)
    expected = kernels.greedy_coreset(grey, 5).indices
    np.testing.assert_array_equal(kernels.greedy_coreset(Image.fromarray(grey), 5).indices, expected)
    np.testing.assert_array_equal(
        kernels.position_histogram([Image.fromarray(grey)], 200), kernels.position_histogram(grey[None], 200)
    )


def test_masked_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="features must have no masked entries, got 3"):
        kernels.greedy_coreset(np.ma.masked_array(X, np.sort(X.ravel())[3] > X), 5)
    row = np.ma.masked_array([1.0, 2.0], [False, True])
    for features in ([row], (row,), [[1.0, np.ma.masked]]):
        with pytest.raises(ValueError, match="features must have no masked entries, got 1; fill or drop"):
            kernels.nearest(features, [[1.0, 0.0]])
    with pytest.raises(ValueError, match="labels must have no masked entries, got 2"):
        kernels.position_histogram([[np.ma.masked_array([0, 1], [False, True])] * 2], 3)
    assert kernels.nearest([np.ma.masked_array([1.0, 2.0])], [[1.0, 2.0]])[1].tolist() == [0]


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ([[10**400]], ValueError, r"numbers up to 3.4e\+38 in magnitude, got one beyond float64"),
        ([[10**400, 0.5]], ValueError, r"numbers up to 3.4e\+38 in magnitude, got one beyond float64"),
        ([["1.5"]], TypeError, "real numbers, got dtype <U3"),
        (np.array([["1.5"]], object), TypeError, "real numbers, got dtype object holding str"),
        (np.array([[2.0, b"1"]], object), TypeError, "real numbers, got dtype object holding bytes"),
        (np.array([[1j]], object), TypeError, "real numbers, got dtype object holding complex"),
        ([[{}]], TypeError, "real numbers, got dtype object$"),
    ],
)
def test_what_are_no_numbers_is_named(features: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^features must hold {message}"):
        kernels.nearest(features, [[1.0]])


@pytest.mark.parametrize("kind", [bool, np.uint8, object])
def test_a_mask_of_no_groups_is_named(kind: type) -> None:
    with pytest.raises(
        ValueError, match=r"^allowed must have at least one column \(group\), got shape \(1, 0\)"
    ):
        kernels.max_likelihood([[1.0]], [[1.0]], [0], np.zeros((1, 0), kind))


@pytest.mark.parametrize("count", [2**61, 2**62, 2**63, 2**70])
def test_more_classes_than_an_array_can_have_are_a_value_error(count: int) -> None:
    with pytest.raises(ValueError, match=r"n_classes must be an int in \[1, .*got"):
        kernels.position_histogram([[[0, 1]]], count)


def test_labels_and_patches_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"labels must be below 2\*\*63, got 18446744073709551615"):
        kernels.position_histogram(np.full((1, 1, 1), 2**64 - 1, np.uint64), 3)
    with pytest.raises(ValueError, match="patch must be an int in"):
        kernels.position_histogram([[[0, 1]]], 3, patch=2**70 + 1)


def test_no_room_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match=r"not enough memory: no room for .* bytes more"):
        kernels.position_histogram([[[0, 1]]], 2**40)


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
@pytest.mark.parametrize("call", ["greedy_coreset(x, 2000)", "nearest(x, x[:9000], num_threads=3)"])
def test_few_bytes_of_address_space_are_a_memory_error(call: str) -> None:
    code = f"""
        import resource
        import numpy as np
        from pni_fast import greedy_coreset, nearest
        x = np.random.default_rng(0).normal(size=(60_000, 60)).astype(np.float32)
        ended = []
        for room in (1, 3, 40):
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (room << 20), resource.RLIM_INFINITY))
            try:
                {call}
                ended.append("whole")
            except MemoryError as error:
                ended.append(str(error))
        print(*ended, sep="; ")
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stderr == ""


def test_threads_beyond_what_helps_are_not_started() -> None:
    assert _core.num_threads(2**31) < 10_000
    assert _core.num_threads(16) == 16
    begun = time.perf_counter()
    for threads in (10_000, 2**80):
        kernels.greedy_coreset(X, 5, num_threads=threads)
    assert time.perf_counter() - begun < 1


def test_signals_are_seen_while_arrays_are_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of NumPy cannot be interrupted; none works on more than a block."""
    seen = []

    def blocks(array):
        for start in range(0, len(array), 50):
            seen.append(start)
            if len(seen) == 3:
                raise KeyboardInterrupt
            yield array[start : start + 50]

    assert max(part.nbytes for part in narrowing.blocks(np.zeros((1 << 20, 3)))) <= narrowing.BLOCK
    monkeypatch.setattr(narrowing, "blocks", blocks)
    with pytest.raises(KeyboardInterrupt):
        kernels.greedy_coreset(X.astype(np.float64), 5)
    assert seen == [0, 50, 100]
