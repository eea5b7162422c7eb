"""Counts that are changed by what is left out are those of the labels that are left."""

import numpy as np
import pytest
from pni_fast.distribution import counts
from pni_fast.distribution.bank import Bank
from pni_fast.kernels import greedy_coreset, nearest, position_histogram


def bank_of(window, images=9, shape=(6, 5), n_classes=17, dtype=np.float32):
    features = np.random.default_rng(3).normal(size=(images, *shape, 4)).astype(dtype)
    rows = features.reshape(-1, 4)
    picked = greedy_coreset(rows, 40, assign=n_classes)
    coreset = rows[picked.indices]
    groups, _ = nearest(coreset, coreset[:n_classes])
    return Bank(features, picked.labels.reshape(images, *shape), picked.indices, groups, window)


@pytest.mark.parametrize("window", [1, 3, 9, 35])
@pytest.mark.parametrize("lost", [(0,), (8, 2), (3, 4, 5, 6)])
def test_labels_and_histogram_without_images_are_those_of_the_others(window, lost, monkeypatch):
    monkeypatch.setattr(counts, "EXACT", 4 * window**2)  # whole counts are made of several parts
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
