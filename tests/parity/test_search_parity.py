"""nearest, max_likelihood and position_histogram equal their oracles."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_data import adversarial
from pni_fast import _core, kernels
from pni_fast.kernels import oracle as _reference
from pni_fast.kernels.sets import position_sets

DATA = adversarial(1)
MANY = 1 << 20
"""Pairs of a query and a target from which on sketches are made."""


def copies(features: np.ndarray, targets: np.ndarray) -> int:
    """Return how often to repeat the features so that there are many pairs."""
    return -(-MANY // (len(features) * len(targets)))


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(
    ("count", "many"), [(37, False), (150, False), (150, True)]
)  # few are looked at one by one, and only many by sketches
def test_nearest(name: str, count: int, many: bool, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    features = DATA[name]
    centers = features[:: max(1, len(features) // count)]
    times = copies(features, centers) if many else 1
    expected = _reference.nearest(features, centers)
    for num_threads in (1, 3):
        indices, distances = kernels.nearest(np.tile(features, (times, 1)), centers, num_threads=num_threads)
        np.testing.assert_array_equal(indices, np.tile(expected[0], times))
        np.testing.assert_array_equal(distances, np.tile(expected[1], times))


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("columns", [49, 64, 300])
@pytest.mark.parametrize("many", [False, True])
def test_points_without_structure(
    columns: int, many: bool, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short sketches tell too little of them: products over all columns take over.
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    rng = np.random.default_rng(4)
    features = rng.normal(size=(400, columns)).astype(np.float32)
    coreset = rng.normal(size=(210, columns)).astype(np.float32)
    coreset[100] = coreset[3]  # a tie
    coreset[7], features[9], features[10] = 1e4, 1e30, coreset[3]
    expected = _reference.nearest(features, coreset)
    members = rng.integers(0, 16, len(coreset))
    allowed = rng.random((len(features), 16)) < 0.7
    likely = _reference.max_likelihood(features, coreset, members, allowed)
    times = copies(features, coreset) if many else 1
    features, allowed = np.tile(features, (times, 1)), np.tile(allowed, (times, 1))
    for num_threads in (1, 3):
        indices, distances = kernels.nearest(features, coreset, num_threads=num_threads)
        np.testing.assert_array_equal(indices, np.tile(expected[0], times))
        np.testing.assert_array_equal(distances, np.tile(expected[1], times))
        distances, indices = kernels.max_likelihood(
            features, coreset, members, allowed, num_threads=num_threads
        )
        np.testing.assert_array_equal(indices, np.tile(likely[1], times))
        np.testing.assert_array_equal(distances, np.tile(likely[0], times))
    assert expected[0][10] == 3


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("columns", [3, 40, 70])
@pytest.mark.parametrize("far", [[2], [2, 9, 77], list(range(0, 400, 7))])
def test_targets_far_from_all_others_can_be_the_only_ones_allowed(
    columns: int, far: list[int], level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    rng = np.random.default_rng(6)
    coreset = rng.normal(size=(400, columns)).astype(np.float32)
    features = rng.normal(size=(90, columns)).astype(np.float32)
    coreset[far] *= 1e30
    features[5], features[6] = coreset[far[0]], 1e12
    members = np.zeros(len(coreset), dtype=np.int64)
    members[far] = 1
    allowed = np.ones((len(features), 2), dtype=bool)
    allowed[10:20, 0] = False
    expected = _reference.max_likelihood(features, coreset, members, allowed)
    distances, indices = kernels.max_likelihood(features, coreset, members, allowed)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_array_equal(distances, expected[0])
    assert np.isin(indices[10:20], far).all()
    nearest = kernels.nearest(features, coreset)
    np.testing.assert_array_equal(nearest[0], _reference.nearest(features, coreset)[0])


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("groups", [1, 8, 13])
def test_max_likelihood(name: str, groups: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    rng = np.random.default_rng(2)
    features = DATA[name]
    coreset = features[:: max(1, len(features) // 53)]
    members = rng.integers(0, groups, len(coreset))
    allowed = rng.random((len(features), groups)) < rng.choice([0.1, 0.5, 1.0], size=(len(features), 1))
    allowed[::7] = False
    expected = _reference.max_likelihood(features, coreset, members, allowed)
    packed = np.packbits(allowed, axis=1, bitorder="little")
    for num_threads, mask in ((1, allowed), (3, allowed), (2, packed)):
        distances, indices = kernels.max_likelihood(features, coreset, members, mask, num_threads=num_threads)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_array_equal(distances, expected[0])
    assert (indices[::7] == -1).all()
    assert np.isinf(distances[::7]).all()


@pytest.mark.parametrize("level", _core.simd_levels())
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (2, 12, 1), (4, 9, 20)])
@pytest.mark.parametrize("patch", [1, 3, 9, 99])
def test_position_histogram(
    shape: tuple[int, int, int], patch: int, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PNI_FAST_SIMD", level)
    labels = np.random.default_rng(3).integers(0, 11, size=shape)
    expected = _reference.position_histogram(labels, 13, patch=patch)
    for num_threads in (1, 3):
        found = kernels.position_histogram(labels, 13, patch=patch, num_threads=num_threads)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (2, 12, 1), (4, 9, 20)])
@pytest.mark.parametrize("patch", [1, 3, 9, 99])
def test_position_sets(shape: tuple[int, int, int], patch: int) -> None:
    labels = np.random.default_rng(4).integers(0, 11, size=shape).astype(np.uint16)
    for images in ([], [0], [shape[0] - 1, 0], list(range(shape[0]))):
        chosen = np.array(images, dtype=np.int64)
        expected = _reference.position_sets(labels, chosen, 13, patch=patch)
        for num_threads in (1, 3):
            found = position_sets(labels, chosen, 13, patch=patch, num_threads=num_threads)
            np.testing.assert_array_equal(found, expected)


def test_position_sets_refuse_what_does_not_fit() -> None:
    labels = np.array([[[3]]], dtype=np.uint16)
    with pytest.raises(ValueError, match="labels from 0 to 2, got 3"):
        position_sets(labels, np.array([0]), 3)
    with pytest.raises(ValueError, match="numbers from 0 to 0, got 1"):
        position_sets(labels, np.array([1]), 4)
