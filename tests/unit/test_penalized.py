import numpy as np
import pytest
from pni_fast import nearest
from pni_fast.kernels.penalty import nearest_with_penalty


def problem(seed, queries=200, rows=300, classes=40, dimension=6):
    random = np.random.default_rng(seed)
    features = random.standard_normal((queries, dimension)).astype(np.float32)
    coreset = random.standard_normal((rows, dimension)).astype(np.float32)
    groups, _ = nearest(coreset, coreset[:classes])
    penalty = (2 * random.exponential(1, (queries, classes))).astype(np.float32)
    return features, coreset, groups, penalty


def full_search(features, coreset, groups, penalty):
    distances = np.linalg.norm(features[:, None].astype(float) - coreset[None], axis=2)
    return (distances + penalty[:, groups]).min(axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_full_search(seed):
    data = problem(seed)
    expected = full_search(*data)
    found = nearest_with_penalty(*data)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    first, _ = nearest(*data[:2])
    at_first = np.linalg.norm(data[0] - data[1][first], axis=1) + data[3][np.arange(200), data[2][first]]
    assert (expected < at_first - 1e-3).mean() > 0.3, "the nearest alone must not be the answer"


def test_ties_of_distance_go_to_the_smaller_penalty():
    coreset = np.zeros((3, 2), np.float32)
    features = np.ones((1, 2), np.float32)
    penalty = np.array([[3.0, 1.0, 2.0]], np.float32)
    found = nearest_with_penalty(features, coreset, np.arange(3), penalty)
    assert found[0] == np.float32(np.sqrt(2) + 1)


def test_a_class_without_coreset_rows_is_passed_over():
    features, coreset = np.zeros((2, 1), np.float32), np.array([[1.0], [3.0]], np.float32)
    penalty = np.array([[0.0, 5.0, 1.0], [0.0, 1.0, 9.0]], np.float32)
    found = nearest_with_penalty(features, coreset, np.array([1, 2]), penalty)
    assert found.tolist() == [4.0, 2.0]


def test_same_bits_for_any_number_of_threads():
    data = problem(7)
    one = nearest_with_penalty(*data, num_threads=1)
    for threads in (2, 3):
        np.testing.assert_array_equal(nearest_with_penalty(*data, num_threads=threads), one)
