import numpy as np
import pytest
from pni_fast import position_histogram
from pni_fast.distribution.shrinkage import CONCENTRATIONS, shrunken, tail_rate

CLASSES, WINDOW = 20, 3


def test_the_rate_of_an_exponential_tail_is_found_under_any_body():
    random = np.random.default_rng(0)
    body = random.uniform(0, 10, 90_000)
    tail = 10 + random.exponential(0.4, 10_000)
    assert tail_rate(np.concatenate([body, tail]).astype(np.float32)) == pytest.approx(1 / 0.4, rel=0.03)


def test_the_rate_goes_with_the_unit():
    values = np.random.default_rng(1).exponential(1, 5000).astype(np.float32)
    assert tail_rate(values) == pytest.approx(4 * tail_rate(4 * values), rel=1e-5)


def test_equal_values_have_the_rate_one():
    assert tail_rate(np.full(100, 3.0, np.float32)) == 1.0


def test_shrinking_is_the_best_of_the_candidates_on_held_out_images():
    labels = np.random.default_rng(1).integers(0, CLASSES, (4, 6, 6))
    histogram = position_histogram(labels, CLASSES, patch=WINDOW)
    counts = np.bincount(labels.ravel(), minlength=CLASSES)

    def likelihood(m):
        total = 0.0
        for index in range(4):
            others = np.delete(labels, index, 0)
            seen = position_histogram(others, CLASSES, patch=WINDOW).astype(float)
            ones = np.pad(np.ones((6, 6)), 1)
            area = 3 * sum(ones[y : y + 6, x : x + 6] for y in range(3) for x in range(3))
            prior = (np.bincount(others.ravel(), minlength=CLASSES) + 0.5) / (others.size + 0.5 * CLASSES)
            p = (seen * area[..., None] + m * prior) / (area[..., None] + m)
            total += np.log(np.take_along_axis(p, labels[index][..., None], 2)).mean()
        return total

    best = max(CONCENTRATIONS, key=likelihood)
    assert best > 64, "classes without a place must be shrunken strongly"
    smooth = shrunken(labels, histogram, WINDOW, range(4), 2)
    prior = (counts + 0.5) / (labels.size + 0.5 * CLASSES)
    inner = (histogram[3, 3] * 36 + best * prior) / (36 + best)
    np.testing.assert_allclose(smooth[3, 3], inner, rtol=1e-5)


def test_shrunken_probabilities_sum_to_one_and_forbid_nothing():
    labels = np.random.default_rng(2).integers(0, CLASSES - 3, (5, 7, 6))  # three classes are never seen
    histogram = position_histogram(labels, CLASSES, patch=WINDOW)
    one, three = (shrunken(labels, histogram, WINDOW, range(5), threads) for threads in (1, 3))
    np.testing.assert_allclose(one.sum(2), 1, rtol=1e-4)
    assert (one > 0).all()
    np.testing.assert_array_equal(one, three)
