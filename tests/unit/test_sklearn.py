"""GreedyCoreset is a scikit-learn estimator, and picks what the kernel picks."""

from __future__ import annotations

import numpy as np
import pytest
from pni_fast import greedy_coreset, nearest
from pni_fast.sklearn import GreedyCoreset
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

X = np.random.default_rng(0).normal(size=(120, 7)).astype(np.float32)
# The decorator of the last scikit-learn for Python 3.10 hands pytest a generator, of which pytest 9 warns.
CHECKS = [
    pair
    for estimator in (GreedyCoreset(), GreedyCoreset(size=5, n_jobs=2))
    for pair in estimator_checks_generator(estimator)
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[f"{check.func.__name__}-{estimator}" for estimator, check in CHECKS]
)
def test_check_estimator(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("size", [9, 0.1])
def test_picks_are_those_of_the_kernel(size: float) -> None:
    model = GreedyCoreset(size=size, start=3).fit(X)
    expected = greedy_coreset(X, size, start=3)
    np.testing.assert_array_equal(model.sample_indices_, expected.indices)
    np.testing.assert_array_equal(model.radii_, expected.radii)
    np.testing.assert_array_equal(model.cluster_centers_, X[expected.indices])
    assert model.n_features_in_ == 7


def test_labels_and_distances_agree() -> None:
    model = GreedyCoreset(size=9)
    distances = model.fit_transform(X)
    assert distances.shape == (120, 9)
    expected = nearest(X, X[model.sample_indices_])
    np.testing.assert_array_equal(model.labels_, expected[0])
    np.testing.assert_array_equal(model.predict(X), expected[0])
    np.testing.assert_allclose(distances.min(axis=1), expected[1], atol=1e-3)


def test_a_count_beyond_the_rows_picks_them_all() -> None:
    assert sorted(GreedyCoreset(size=500).fit(X).sample_indices_) == list(range(120))


def test_it_works_in_a_pipeline_and_can_be_cloned() -> None:
    pipeline = clone(make_pipeline(StandardScaler(), GreedyCoreset(size=4)))
    assert pipeline.fit_transform(X).shape == (120, 4)
    assert list(pipeline.get_feature_names_out()) == [f"greedycoreset{i}" for i in range(4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be .* got 0"),
        ({"size": 1.5}, "size must be .* got 1.5"),
        ({"start": 120}, "start must be .* got 120"),
        ({"n_jobs": 0}, "n_jobs must be None or an int other than 0, got 0"),
    ],
)
def test_bad_parameters_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GreedyCoreset(**options).fit(X)


def test_negative_jobs_count_from_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNI_FAST_NUM_THREADS", "8")
    jobs = (None, 3, -1, -2, -8, -50)
    assert [GreedyCoreset(n_jobs=each)._threads() for each in jobs] == [None, 3, 8, 7, 1, 1]
    assert GreedyCoreset(size=3, n_jobs=-2).fit(X).n_features_in_ == 7


def test_points_far_from_zero_are_told_apart() -> None:
    points = np.array([[0.0, 0.0], [0.01, 0.0], [0.8, 0.0], [0.0, 0.71]]) + np.array([500_000, 4_649_776])
    model = GreedyCoreset(size=4).fit(points)
    assert model.sample_indices_.tolist() == [0, 2, 3, 1]
    assert model.predict(points).tolist() == [0, 3, 1, 2]
    np.testing.assert_allclose(model.transform(points)[0], [0, 0.8, 0.71, 0.01], atol=1e-6)


@pytest.mark.parametrize("base", [1_700_000_000_000_000_000, -(2**63), 2**63 - 101])
def test_integers_that_float64_cannot_hold_are_told_apart(base: int) -> None:
    rows = base + np.array([[0], [40], [100], [90], [7]])
    model = GreedyCoreset(size=5).fit(rows)
    assert model.sample_indices_.tolist() == [0, 2, 1, 3, 4]
    assert model.radii_[1:].tolist() == [100, 40, 10, 7]
    assert model.cluster_centers_.ravel().tolist() == [base + step for step in (0, 100, 40, 90, 7)]
    assert model.labels_.tolist() == model.predict(rows).tolist() == [0, 2, 1, 3, 4]
    np.testing.assert_allclose(model.transform(rows)[1], [40, 60, 0, 50, 33])


def test_integers_that_float64_holds_are_float64() -> None:
    rows = np.array([[0], [2**53], [-(2**53)]])
    assert GreedyCoreset(size=2).fit(rows).cluster_centers_.dtype == np.float64
    distances = GreedyCoreset(size=2).fit(rows + 2**60).transform(rows.astype(np.float32))
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances[0, 0], 2.0**60, rtol=1e-6)
