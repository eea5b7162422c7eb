import numpy as np
import pytest
from pni_fast.conditions import Conditions, pack


def unpack(bits, classes):
    return np.unpackbits(bits, axis=1, count=classes, bitorder="little").astype(bool)


@pytest.fixture
def probabilities():
    random = np.random.default_rng(0)
    position, neighborhood = random.dirichlet(np.full(13, 0.1), (2, 50)).astype(np.float32)
    return position, neighborhood


def test_packing_is_low_bit_first():
    allowed = np.zeros((1, 10), bool)
    allowed[0, [0, 9]] = True
    assert pack(allowed).tolist() == [[1, 2]]


def test_equation_6_averages_probabilities_before_the_threshold(probabilities):
    position, neighborhood = probabilities
    (bits,) = Conditions(position, 0.01, "average").allowed(neighborhood)
    np.testing.assert_array_equal(unpack(bits, 13), (position + neighborhood) / 2 > np.float32(0.01))


def test_both_needs_each_condition(probabilities):
    position, neighborhood = probabilities
    bits = unpack(*Conditions(position, 0.01, "both").allowed(neighborhood), 13)
    each = (position > np.float32(0.01)) & (neighborhood > np.float32(0.01))
    agreed = each.any(1)
    assert 0 < agreed.sum() < len(agreed)
    np.testing.assert_array_equal(bits[agreed], each[agreed])


@pytest.mark.parametrize("rule", ["average", "both", "scores"])
def test_one_condition_alone_is_its_threshold(probabilities, rule):
    position, neighborhood = probabilities
    np.testing.assert_array_equal(
        unpack(*Conditions(position, 0.01, rule).allowed(None), 13), position > np.float32(0.01)
    )
    np.testing.assert_array_equal(
        unpack(*Conditions(None, 0.01, rule).allowed(neighborhood), 13), neighborhood > np.float32(0.01)
    )


def test_without_conditions_everything_is_allowed():
    assert Conditions(None, 0.01, "average").allowed(None) == [None]
    assert Conditions(None, 0.01, "penalty").penalty(None) is None


def test_where_the_two_share_no_class_position_decides():
    position = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0]], np.float32)
    neighborhood = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], np.float32)
    (bits,) = Conditions(position, 0.01, "both").allowed(neighborhood)
    assert unpack(bits, 3).tolist() == [[True, True, False], [True, False, False]]


def test_scores_thresholds_each_condition_by_itself(probabilities):
    position, neighborhood = probabilities
    first, second = Conditions(position, 0.01, "scores").allowed(neighborhood)
    np.testing.assert_array_equal(unpack(first, 13), position > np.float32(0.01))
    np.testing.assert_array_equal(unpack(second, 13), neighborhood > np.float32(0.01))


def test_the_penalty_is_the_surprise_under_the_mean(probabilities):
    position, neighborhood = probabilities
    expected = -np.log(np.maximum((position + neighborhood) / 2, 1e-12))
    np.testing.assert_allclose(
        Conditions(position, 0.01, "penalty").penalty(neighborhood), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        Conditions(position, 0.01, "penalty").penalty(None),
        -np.log(np.maximum(position, 1e-12)),
        rtol=1e-5,
        atol=1e-6,
    )
    impossible = np.zeros((1, 3), np.float32)
    assert np.isfinite(Conditions(None, 0.01, "penalty").penalty(impossible)).all()
