"""greedy_coreset equals its oracle, on data made to break shortcuts."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_data import adversarial, check_coreset
from pni_fast import _core, greedy_coreset

DATA = adversarial()


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("name", DATA)
def test_every_shape_of_data(name: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    features = DATA[name]
    size = min(len(features), 60)
    for assign in (None, max(1, size // 2)):
        check_coreset(features, size, assign=assign)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_size_n_picks_every_row_once(name: str, num_threads: int) -> None:
    features = DATA[name]
    check_coreset(features, len(features), num_threads=num_threads)
    found = check_coreset(features, len(features), assign=len(features), num_threads=num_threads)
    np.testing.assert_array_equal(np.sort(found.indices), np.arange(len(features)))


@pytest.mark.parametrize("name", DATA)
def test_growing_a_coreset(name: str) -> None:
    features = DATA[name]
    rng = np.random.default_rng(1)
    initial = features[rng.integers(0, len(features), 5)]
    size = min(len(features), 20)
    for assign in (None, 1, 5, 5 + size):
        check_coreset(features, size, initial=initial, assign=assign)


def test_growing_goes_on_as_one_run_would() -> None:
    features = DATA["clusters"]
    whole = check_coreset(features, 50, start=3)
    grown = check_coreset(features, 30, initial=features[whole.indices[:20]])
    np.testing.assert_array_equal(grown.indices, whole.indices[20:])
    np.testing.assert_array_equal(grown.radii, whole.radii[20:])


def test_initial_far_from_the_data() -> None:
    features = DATA["low rank"]
    check_coreset(features, 30, initial=np.full((2, features.shape[1]), -1e6, dtype=np.float32), assign=20)
    check_coreset(features, 30, initial=np.full((1, features.shape[1]), 1e28, dtype=np.float32), assign=31)


def test_start_and_single_pick() -> None:
    features = DATA["noise"]
    assert check_coreset(features, 1, start=17, assign=1).indices.tolist() == [17]
    check_coreset(features, 40, start=399)


@pytest.mark.parametrize(("rows", "columns"), [(20_000, 2), (6_000, 70), (3_000, 300)])
def test_many_rows(rows: int, columns: int) -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(rows, columns)) / np.arange(1, columns + 1)
    features[rng.integers(0, rows, rows // 10)] = features[0]
    check_coreset(features.astype(np.float32), 300, assign=200)


def many(kind: str) -> np.ndarray:
    """Rows enough for most to be left alone between picks, and structure enough for bounds to matter."""
    rng = np.random.default_rng(11)
    rows = 12_000
    centers = rng.normal(size=(60, 90))[rng.integers(0, 60, rows)] * 4
    features = {
        "clusters": centers + rng.normal(size=(rows, 90)),
        "duplicates": np.rint(centers[rng.integers(0, 900, rows)]),
        "lattice": rng.integers(0, 3, size=(rows, 40)),
        "offset": 1e4 + centers * 0.1 + rng.normal(size=(rows, 90)) * 0.05,
        "tiny": (centers + rng.normal(size=(rows, 90))) * 1e-22,
        "plane": rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 70)),
    }[kind]
    return features.astype(np.float32)


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("kind", ["clusters", "duplicates", "lattice", "offset", "tiny", "plane"])
def test_many_rows_like_the_scan(kind: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    features = many(kind)
    expected = _core._scan_coreset(features, 400)
    for assign in (None, 50, 400):
        found = greedy_coreset(features, 400, assign=assign)
        np.testing.assert_array_equal(found.indices, expected[0])
        np.testing.assert_array_equal(found.radii, expected[1])


def test_more_centers_than_distinct_points() -> None:
    found = check_coreset(DATA["duplicates"], 20, assign=20)
    assert len(set(found.indices.tolist())) == 20
    assert not found.radii[7:].any()
    assert found.radii[1:7].all()
