import numpy as np
import pytest
from pni_fast import position_histogram
from pni_fast.kernels import oracle as _reference
from pni_fast.scoring.anomaly_map import Upsampler
from scenes import CLASSES, ROWS, SIDE, WINDOW, left_out, parts, scene


def by_hand(features, index):
    """Score an image against all that a fit knows of the others, with full distance matrices."""
    labels, picked, groups = parts(features)
    flat = features.reshape(-1, 5).astype(float)
    owner = picked // SIDE**2
    coreset, owners = flat[picked], owner[:CLASSES]
    own = flat[index * SIDE**2 : (index + 1) * SIDE**2]
    left = np.flatnonzero(owners != index)

    def renamed(rows, names):
        closest = left[np.linalg.norm(rows[:, None] - coreset[left], axis=2).argmin(1)]
        return np.where(owners[names] == index, closest, names)

    others = np.delete(np.arange(len(features)), index)
    classes = renamed(features[others].reshape(-1, 5).astype(float), labels[others].ravel())
    histogram = position_histogram(classes.reshape(-1, SIDE, SIDE), CLASSES, patch=WINDOW)
    kept = owner != index
    of_rows = renamed(coreset, groups)[kept]
    distances = np.linalg.norm(own[:, None] - coreset[kept], axis=2)
    allowed = histogram.reshape(SIDE**2, CLASSES)[:, of_rows] > 1 / (2 * ROWS)
    free = distances.min(1)
    bound = np.where(allowed, distances, np.inf).min(1)
    upsampler = Upsampler((SIDE, SIDE), (48, 48), 2.0)
    grids = (free, np.where(np.isfinite(bound), bound, free))
    maps = [upsampler(grid.astype(np.float32).reshape(SIDE, SIDE)) for grid in grids]
    return free, maps[0], maps[1].max()


@pytest.mark.parametrize("shift", [False, True])
def test_nothing_of_an_image_left_out_stays_behind(shift):
    features = scene(6, shift=shift)
    labels, picked, groups = parts(features)
    owners = picked // SIDE**2
    lost = [np.isin(labels, np.flatnonzero(owners[:CLASSES] == index)) for index in range(6)]
    assert any(lost[index][np.arange(6) != index].any() for index in range(6)), (
        "patches of others are renamed"
    )
    found = left_out(features, parts=(labels, picked, groups))
    assert list(found.chosen) == list(range(6))
    for index in range(6):
        distances, free, bound = by_hand(features, index)
        np.testing.assert_allclose(found.distances[index], distances, rtol=1e-5)
        np.testing.assert_allclose(found.maps[index], free[2::4, 2::4], rtol=1e-5)
        assert found.free[index] == pytest.approx(free.max(), rel=1e-5)
        assert found.bound[index] == pytest.approx(bound, rel=1e-5)
    assert (found.bound >= found.free).all()


def test_what_is_left_out_is_spread_over_the_set():
    features = np.repeat(scene(4, shift=False), 10, axis=0)
    chosen = left_out(features + np.arange(40, dtype=np.float32)[:, None, None, None] / 1e3).chosen
    assert (len(chosen), chosen[0], chosen[-1]) == (32, 0, 39)


def test_without_position_only_the_free_scores_are_found():
    features = scene(5, shift=True)
    whole, free = left_out(features), left_out(features, position=False)
    assert free.bound is None
    np.testing.assert_array_equal(free.free, whole.free)
    np.testing.assert_array_equal(free.distances, whole.distances)


def test_a_single_image_cannot_be_left_out():
    assert left_out(scene(1, shift=False)) is None


def test_an_image_that_owns_every_class_stays():
    features = scene(3, shift=False)
    labels, _, _ = parts(features)
    flat = features[0].reshape(-1, 5)
    picked = np.arange(CLASSES)  # all rows of the coreset are patches of the first image
    labels = _reference.nearest(features.reshape(-1, 5), flat[:CLASSES])[0].reshape(labels.shape)
    found = left_out(features, parts=(labels, picked, np.arange(CLASSES)))
    assert list(found.chosen) == [1, 2]


def test_same_bits_for_any_number_of_threads():
    features = scene(9, shift=True)
    one = left_out(features)
    for threads in (2, 3):
        other = left_out(features, threads=threads)
        for name in ("distances", "maps", "free", "bound"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name), err_msg=name)
