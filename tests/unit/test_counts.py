"""Counts that are changed by what is left out are those of the labels that are left."""

import numpy as np
import pytest
from pni_fast.distribution.bank import Bank
from pni_fast.distribution.threshold import threshold
from pni_fast.kernels import greedy_coreset, nearest, position_histogram
from pni_fast.kernels.counts import Changes, changed_histogram, changed_sets, window_counts
from pni_fast.kernels.packing import pack


def bank_of(window, images=9, shape=(6, 5), n_classes=17, dtype=np.float32):
    features = np.random.default_rng(3).normal(size=(images, *shape, 4)).astype(dtype)
    rows = features.reshape(-1, 4)
    picked = greedy_coreset(rows, 40, assign=n_classes)
    coreset = rows[picked.indices]
    groups, _ = nearest(coreset, coreset[:n_classes])
    return Bank(features, picked.labels.reshape(images, *shape), picked.indices, groups, window, n_classes)


@pytest.mark.parametrize("window", [1, 3, 9, 35])
@pytest.mark.parametrize("lost", [(0,), (8, 2), (3, 4, 5, 6)])
def test_labels_and_histogram_without_images_are_those_of_the_others(window, lost):
    bank = bank_of(window)
    rest = bank.without(*lost)
    left = np.flatnonzero(~np.isin(bank.owner[: bank.n_classes], lost))
    expected = bank.labels[rest.kept]
    gone = ~np.isin(expected, left)
    assert gone.any()
    rows = bank.features.rows(np.arange(9 * 30)).reshape(9, 30, 4)[rest.kept]
    found, _ = nearest(rows.reshape(-1, 4)[gone.ravel()], bank.coreset[left])
    expected[gone] = left[found]
    np.testing.assert_array_equal(rest.labels, expected)
    np.testing.assert_array_equal(rest.labels_of(rest.kept[1::2]), expected[1::2])
    histogram = position_histogram(expected, bank.n_classes, patch=window)
    np.testing.assert_array_equal(bank.histogram(rest), histogram)
    sets = pack(histogram.reshape(bank.area, -1) > threshold(len(rest.coreset)))
    np.testing.assert_array_equal(bank.position_sets(rest), sets)


NOTHING = Changes(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 8), (4, 7, 5), (5, 6, 6)])
@pytest.mark.parametrize("patch", [1, 3, 9])
@pytest.mark.parametrize("n_classes", [1, 7, 8, 19])
def test_changed_counts_are_those_of_changed_labels(shape, patch, n_classes):
    rng = np.random.default_rng((*shape, patch, n_classes))
    labels = rng.integers(n_classes, size=shape)
    counts = window_counts(labels, n_classes, patch=patch)
    assert counts.sum(axis=2).max() <= shape[0] * patch**2
    for number in (0, 1, labels.size):
        places = np.sort(rng.choice(labels.size, number, replace=False))
        changed = labels.copy()
        changed.ravel()[places] = rng.integers(n_classes, size=number)
        where = places % (shape[1] * shape[2])
        by = np.repeat(np.array([-1, 1], dtype=np.int32), number)
        change = Changes(np.tile(where, 2), np.r_[labels.ravel()[places], changed.ravel()[places]], by)
        expected = position_histogram(changed, n_classes, patch=patch)
        for threads in (1, 3):
            found = changed_histogram(counts, change, shape[0], patch=patch, num_threads=threads)
            np.testing.assert_array_equal(found, expected)
            # Thresholds that are shares themselves, and just beside them: nothing is above what it equals.
            for share in {0.0, 1.0, *rng.choice(expected.ravel(), 4).tolist()}:
                for tau in np.clip(np.nextafter(np.float32(share), np.float32([-1, share, 2])), 0, 1):
                    sets = changed_sets(
                        counts, change, shape[0], float(tau), patch=patch, num_threads=threads
                    )
                    np.testing.assert_array_equal(sets, pack(expected.reshape(-1, n_classes) > tau))


@pytest.mark.parametrize(
    ("change", "patch", "tau", "said"),
    [
        (Changes(np.array([6]), np.array([0]), np.ones(1, np.int32)), 3, 0.1, "positions from 0 to 5, got 6"),
        (Changes(np.array([-1]), np.array([0]), np.ones(1, np.int32)), 3, 0.1, "from 0 to 5, got -1"),
        (Changes(np.array([5]), np.array([4]), np.ones(1, np.int32)), 3, 0.1, "classes from 0 to 3, got 4"),
        (Changes(np.array([5]), np.array([3]), np.ones(2, np.int32)), 3, 0.1, "number each, got 1, 1 and 2"),
        (NOTHING, 2, 0.1, "patch must be an odd integer"),
        (NOTHING, 3, -0.1, "tau must be a share from 0 to 1"),
        (NOTHING, 3, float("nan"), "tau must be a share from 0 to 1"),
    ],
)
def test_changes_that_do_not_fit_are_refused(change, patch, tau, said):
    counts = window_counts(np.zeros((2, 3, 2), dtype=np.int64), 4, patch=3)
    with pytest.raises(ValueError, match=said):
        changed_sets(counts, change, 2, tau, patch=patch)
