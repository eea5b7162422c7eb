"""Connected regions, their boxes in the photograph, and drift: against scipy."""

import numpy as np
import pytest
from pni_fast.config import Geometry
from pni_fast.data.cropping import crop_mask
from pni_fast.decision import Decision, drift, regions
from pni_fast.decision.drift import chance, higher
from pni_fast.decision.regions import labelled, marked
from pni_fast.decision.suspects import outlying


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_labels_are_those_of_scipy(share):
    ndimage = pytest.importorskip("scipy.ndimage")
    for seed in range(8):
        rng = np.random.default_rng(seed)
        mask = rng.random((17, 23)) < share
        found, count = labelled(mask)
        expected, number = ndimage.label(mask, np.ones((3, 3)))
        assert count == number
        np.testing.assert_array_equal(found, expected)
    assert labelled(np.zeros((3, 4), bool))[1] == 0
    assert labelled(np.ones((3, 4), bool))[1] == 1


@pytest.mark.parametrize("size", [(512, 512), (1300, 700), (90, 400), (48, 48)])
def test_a_box_in_the_map_is_the_box_of_the_photograph(size):
    geometry = Geometry(128, 96, 8)
    width, height = size
    photo = np.zeros((height, width), bool)
    photo[height * 3 // 8 : height * 5 // 8, width // 4 : width // 2] = True
    crop = crop_mask(photo, geometry)
    (found,) = regions(crop.astype(np.float32) * 7, 1.0, size, geometry)
    truth = (width // 4, height * 3 // 8, width // 2, height * 5 // 8)
    ends = (found.x, found.y, found.x + found.width, found.y + found.height)
    slack = (-(-width // 128), -(-height // 128)) * 2  # a pixel of the map
    assert all(abs(one - other) <= most for one, other, most in zip(ends, truth, slack, strict=True))
    assert found.peak == 7.0
    assert 0.7 < found.area / photo.sum() < 1.4


def test_regions_end_at_the_photograph_and_the_highest_comes_first():
    geometry = Geometry(10, 10, 8)
    values = np.zeros((10, 10), np.float32)
    values[0, :3], values[9, 9] = 2.0, 5.0
    found = regions(values, 1.0, (30, 20), geometry)
    assert [one.peak for one in found] == [5.0, 2.0]
    assert (found[0].x, found[0].y, found[0].width, found[0].height, found[0].area) == (27, 18, 3, 2, 6)
    assert (found[1].x, found[1].y, found[1].width, found[1].height, found[1].area) == (0, 0, 9, 2, 18)
    assert len(regions(values, 1.0, (30, 20), geometry, min_area=7)) == 1
    assert marked(values, 1.0, (30, 20), geometry, min_area=7).sum() == 3
    assert marked(values, 1.0, (30, 20), geometry).sum() == 4
    assert regions(values, 9.0, (30, 20), geometry) == []


def test_drift_is_scipys_one_sided_test_of_two_samples():
    stats = pytest.importorskip("scipy.stats")
    for seed, shift in ((0, 0.0), (1, 0.3), (2, 1.0)):
        rng = np.random.default_rng(seed)
        run, known = np.sort(rng.normal(shift, 1, 80)), np.sort(rng.normal(0, 1, 150))
        expected = stats.ks_2samp(run, known, alternative="less", method="asymp")
        statistic = higher(run, known)
        assert statistic == pytest.approx(expected.statistic)
        assert chance(statistic, 80, 150) == pytest.approx(expected.pvalue, rel=1e-6)


def test_drift_is_found_where_good_images_move_and_not_where_there_are_defects():
    rng = np.random.default_rng(0)
    known = np.sort(rng.gumbel(10, 2, 120))
    decision = Decision(known, known, false_alarms=0.01)
    same = rng.gumbel(10, 2, 500)
    assert not drift(same, decision).found
    assert not drift(np.concatenate([same, rng.normal(60, 5, 300)]), decision).found, "many defects"
    assert not drift(same - 3, decision).found, "nearer to the good images than they are to each other"
    moved = drift(same + 1.5, decision)
    assert moved.found
    assert "score higher" in moved.words
    assert moved.as_dict()["p_values_below_0.01"] > drift(same, decision).small
    assert drift(same[:5], decision) is None
    assert drift(same, Decision(at=4.0)) is None
    assert drift(same, decision.changed(at=float(known[3]))) is None
    few = Decision(known[:40], known[:40])
    assert drift(same, few).small is None, "40 images know no p-value of 0.01"


def test_false_drift_is_as_rare_as_it_says_with_few_known_images():
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(400):
        known = np.sort(rng.random(40))
        decision = Decision(known, known, false_alarms=0.05)
        lying = drift(rng.random(2000), decision)
        found += lying is not None and lying.found
    assert found <= 3


def test_suspects_are_named_among_good_scores_and_good_ones_seldom():
    rng, wrongly = np.random.default_rng(1), 0
    for _ in range(200):
        wrongly += bool(outlying(rng.gumbel(20, 2, 100)))
    assert wrongly <= 25, "one set in a hundred, and some for quartiles that are guessed"
    scores = rng.gumbel(20, 2, 100)
    scores[[3, 60, 61, 62, 63]] = (90, 55, 54, 53, 52)
    found = outlying(scores)
    assert found[:5] == [3, 60, 61, 62, 63]
    assert len(found) <= 6
    assert outlying(np.array([1.0, 1, 1, 99])) == [], "too few to tell"
    assert outlying(np.array([1.0] * 8 + [2])) == [], "no spread to go by"
