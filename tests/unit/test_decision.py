"""What good images promise, against an independent library and by simulation; p-values and thresholds."""

import math

import numpy as np
import pytest
from pni_fast.decision import Decision, lowest_rate, rank
from pni_fast.decision.conformal import p_values
from pni_fast.errors import PniError

RATES = (0.01, 0.02, 0.05, 0.1, 1 / 3)


def scores_of(count, seed=0):
    return np.sort(np.random.default_rng(seed).gumbel(10, 2, count))


@pytest.mark.parametrize("count", [1, 9, 19, 20, 48, 99, 100, 335])
def test_thresholds_and_p_values_are_those_of_crepes(count):
    crepes = pytest.importorskip("crepes")
    known, new = scores_of(count), scores_of(200, seed=1)
    regressor = crepes.ConformalRegressor().fit(known)
    for rate in RATES:
        k = rank(count, rate)
        if k is None:
            assert rate < lowest_rate(count)
            continue
        # A hair more than the rate: crepes rounds a product down that may be whole but for rounding.
        upper = regressor.predict_int(np.zeros(1), confidence=1 - rate - 1e-9)[0, 1]
        assert known[k - 1] == upper, (count, rate)
    theirs = crepes.ConformalClassifier().fit(known).predict_p(new[:, None], smoothing=False)[:, 0]
    np.testing.assert_allclose(p_values(new, known), theirs, rtol=1e-12)


def test_above_the_threshold_is_a_p_value_of_at_most_the_rate():
    for count in (10, 48, 99, 199):
        known = scores_of(count)
        new = np.concatenate([known, known + 1e-9, scores_of(100, seed=2)])
        for rate in RATES:
            decision = Decision(known, known, false_alarms=rate)
            called = np.array([decision.is_defective(score) for score in new])
            np.testing.assert_array_equal(called, p_values(new, known) <= decision.promised + 1e-12)


@pytest.mark.parametrize(("count", "rate"), [(29, 0.1), (59, 0.05), (149, 0.02), (299, 0.01)])
def test_how_many_images_a_promise_with_confidence_needs(count, rate):
    assert rank(count, rate, 0.95) == count
    assert rank(count - 1, rate, 0.95) is None
    assert lowest_rate(count, 0.95) <= rate < lowest_rate(count - 1, 0.95)


def test_ranks_with_confidence_are_quantiles_of_the_beta_distribution():
    beta = pytest.importorskip("scipy.stats").beta
    for count in (30, 100, 335):
        for rate in RATES:
            sure = [k for k in range(1, count + 1) if beta.cdf(rate, count + 1 - k, k) >= 0.95]
            assert rank(count, rate, 0.95) == (sure[0] if sure else None), (count, rate)


def test_what_is_promised_is_kept_on_average_and_with_confidence():
    rng, rate, count = np.random.default_rng(3), 0.05, 120
    average, sure = rank(count, rate), rank(count, rate, 0.95)
    drawn = np.sort(rng.random((4000, count)), axis=1)  # a uniform score is its own distribution function
    assert abs((1 - drawn[:, average - 1]).mean() - (count + 1 - average) / (count + 1)) < 0.002
    assert (1 - drawn[:, sure - 1] <= rate).mean() >= 0.945
    assert (1 - drawn[:, sure - 2] <= rate).mean() < 0.945, "no rank lower would do"


def test_too_few_images_promise_what_they_can_in_one_line():
    decision = Decision(scores_of(48), scores_of(48), false_alarms=0.01)
    assert decision.shortage == "48 good images can promise no less than 2.0 %"
    assert decision.threshold == decision.scores[-1]
    assert decision.promised == pytest.approx(1 / 49)
    enough = decision.changed(0.05)
    assert (enough.shortage, enough.promised) == (None, 0.05)
    assert enough.threshold == decision.scores[math.ceil(49 * 0.95) - 1]
    sure = decision.changed(0.05, confidence=0.95)
    assert sure.shortage == "48 good images can promise no less than 6.1 % with 95.0 % confidence"


def test_a_threshold_by_hand_promises_nothing_and_keeps_p_values():
    decision = Decision(scores_of(20), scores_of(20) + 1).changed(at=11.5)
    assert (decision.threshold, decision.promised, decision.shortage) == (11.5, None, None)
    assert decision.pixel_threshold == decision.peaks[-1], "of another unit than the score"
    assert decision.p_value(11.5) == p_values([11.5], decision.scores)[0]
    assert "by hand" in decision.words
    alone = Decision(at=3.0)
    assert (alone.threshold, alone.pixel_threshold, alone.p_value(2)) == (3.0, 3.0, None)
    assert (alone.is_defective(3.0), alone.is_defective(3.1)) == (False, True)


def test_nothing_is_decided_without_good_images():
    nothing = Decision()
    assert (nothing.threshold, nothing.pixel_threshold, nothing.p_value(1)) == (None, None, None)
    assert nothing.is_defective(1.0) is None
    assert nothing.words.startswith("none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"false_alarms": 0.0},
        {"false_alarms": 1},
        {"false_alarms": float("nan")},
        {"confidence": 1.5},
        {"source": "somewhere"},
        {"scores": np.array([2.0, 1.0]), "peaks": np.array([1.0, 2.0])},
        {"scores": np.array([1.0]), "peaks": np.array([np.nan])},
        {"scores": np.array([1.0])},
        {"at": float("nan")},
    ],
)
def test_a_decision_that_cannot_be_is_refused(wrong):
    with pytest.raises(PniError):
        Decision(**wrong)
