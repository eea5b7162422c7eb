"""pytest-benchmark of each kernel by itself, on points with structure: `pytest benches --benchmark-only`."""

from __future__ import annotations

import numpy as np
import pytest
from pni_fast import greedy_coreset, max_likelihood, nearest, position_histogram


@pytest.fixture(scope="module", params=[152, 1024])
def points(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(0)
    spectrum = 1 / np.sqrt(1 + np.arange(request.param))
    centers = rng.normal(size=(200, request.param)) * 4
    return ((centers[np.arange(10_000) % 200] + rng.normal(size=(10_000, request.param))) * spectrum).astype(
        np.float32
    )


def test_greedy_coreset(benchmark, points: np.ndarray) -> None:
    assert len(benchmark(greedy_coreset, points, 0.01).indices) == 100


def test_nearest(benchmark, points: np.ndarray) -> None:
    indices, _ = benchmark(nearest, points, points[:500])
    assert (indices[:500] == np.arange(500)).all()


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_max_likelihood(benchmark, points: np.ndarray, share: float) -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 200, 2_000)
    allowed = rng.random((3_600, 200)) < share
    _, indices = benchmark(max_likelihood, points[:3_600], points[-2_000:], groups, allowed)
    assert (indices[allowed.any(axis=1)] >= 0).all()


def test_position_histogram(benchmark) -> None:
    labels = np.random.default_rng(2).integers(0, 500, size=(20, 60, 60))
    histogram = benchmark(position_histogram, labels, 500)
    np.testing.assert_allclose(histogram.sum(axis=2), 1, rtol=1e-5)
