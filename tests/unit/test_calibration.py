import numpy as np
import pytest
from pni_fast import greedy_coreset, nearest, position_histogram
from pni_fast.anomaly_map import Upsampler
from pni_fast.calibration import CONCENTRATIONS, HeldOutHistogram, calibrate

SIDE, CLASSES, WINDOW = 12, 20, 3


def scene(count, shift, seed=0):
    """Return features of `count` pictures of one scene; with `shift` each shows it from another place."""
    random = np.random.default_rng(seed)
    world = np.repeat(np.repeat(random.standard_normal((6, 6, 5)), 4, 0), 4, 1) * 4
    pictures = np.empty((count, SIDE, SIDE, 5), np.float32)
    for picture in pictures:
        y, x = random.integers(0, 13, 2) if shift else (4, 4)
        picture[:] = world[y : y + SIDE, x : x + SIDE] + random.normal(0, 0.3, picture.shape)
    return pictures


def calibrated(features, threads=1, scale=1.0, position=True):
    rows = (features * np.float32(scale)).reshape(-1, features.shape[-1])
    picked = greedy_coreset(rows, 60, assign=CLASSES)
    labels = picked.labels.reshape(features.shape[:3])
    groups, _ = nearest(rows[picked.indices], rows[picked.indices][:CLASSES])
    histogram = position_histogram(labels, CLASSES, patch=WINDOW) if position else None
    found = calibrate(
        rows.reshape(features.shape),
        labels,
        picked.indices,
        groups,
        histogram,
        window=WINDOW,
        upsampler=Upsampler(SIDE, SIDE, 48, 2.0),
        num_threads=threads,
    )
    return found, labels, histogram


def test_position_is_kept_where_things_keep_their_place():
    found, _, histogram = calibrated(scene(12, shift=False))
    assert found.effect <= 0.2
    assert found.position.shape == histogram.shape
    np.testing.assert_allclose(found.position.sum(2), 1, rtol=1e-4)
    assert (found.position > 0).all()


def test_position_is_dropped_where_held_out_images_are_pushed_up():
    found, _, _ = calibrated(scene(8, shift=True))
    assert found.effect > 0.2
    assert found.position is None
    assert found.scale > 0


def test_lambda_goes_with_the_unit_of_the_features():
    features = scene(8, shift=False)
    one, four = calibrated(features)[0], calibrated(features, scale=4.0)[0]
    assert one.scale == pytest.approx(4 * four.scale, rel=1e-3)
    np.testing.assert_array_equal(one.position, four.position)


def test_lambda_does_not_depend_on_position():
    features = scene(8, shift=False)
    without = calibrated(features, position=False)[0]
    assert without.scale == calibrated(features)[0].scale
    assert without.position is None
    assert without.effect is None


def test_a_histogram_without_an_image_is_the_histogram_of_the_others():
    labels = np.random.default_rng(0).integers(0, CLASSES, (5, 7, 6))
    held_out = HeldOutHistogram(labels, position_histogram(labels, CLASSES, patch=WINDOW), WINDOW)
    expected = position_histogram(np.delete(labels, 2, 0), CLASSES, patch=WINDOW).reshape(42, CLASSES)
    np.testing.assert_allclose(held_out.without(2), expected, rtol=1e-6)


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
    smooth = HeldOutHistogram(labels, histogram, WINDOW).shrunken(range(4), 2)
    prior = (counts + 0.5) / (labels.size + 0.5 * CLASSES)
    inner = (histogram[3, 3] * 36 + best * prior) / (36 + best)
    np.testing.assert_allclose(smooth[3, 3], inner, rtol=1e-5)


def test_a_single_image_says_nothing():
    found, _, _ = calibrated(scene(1, shift=False))
    assert (found.scale, found.position, found.effect) == (1.0, None, None)


def test_equal_images_do_not_divide_by_zero():
    same = np.repeat(scene(1, shift=False), 3, axis=0)
    found, _, _ = calibrated(same)
    assert np.isfinite(found.scale)


def test_same_bits_for_any_number_of_threads():
    features = scene(9, shift=False)
    one = calibrated(features)[0]
    for threads in (2, 3):
        other = calibrated(features, threads)[0]
        assert (other.scale, other.effect) == (one.scale, one.effect)
        np.testing.assert_array_equal(other.position, one.position)
