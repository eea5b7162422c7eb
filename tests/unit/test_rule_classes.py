"""Each rule by itself: what it needs of the conditions and what it makes of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pni_fast.config import RULES
from pni_fast.distribution.distribution import Distribution
from pni_fast.kernels.packing import pack
from pni_fast.runtime.copies import to_host
from pni_fast.runtime.device import Device
from pni_fast.scoring.packing import pack_on, shifted
from pni_fast.scoring.rules import RULE_CLASSES

CPU = Device()
THRESHOLDED = ["average", "both", "scores"]


def rule(name, position, *, rows=50, classes=13, weight=0.25, device=CPU):
    """Return a rule over `rows` vectors of C_emb, so that τ is 1 / (2 · rows)."""
    distribution = Distribution(
        coreset=np.arange(rows, dtype=np.float32)[:, None],
        groups=np.minimum(np.arange(rows), classes - 1),
        n_classes=classes,
        position=None if position is None else position[:, None],
        neighborhood=None,
        weight=weight,
    )
    return RULE_CLASSES[name](distribution, device)


def allowed(of, neighborhood):
    """Return what one map is allowed, as arrays."""
    return of.evidence(neighborhood)


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
    (bits,) = allowed(rule("average", position), neighborhood)
    np.testing.assert_array_equal(unpack(bits, 13), (position + neighborhood) / 2 > np.float32(0.01))


def test_both_needs_each_condition(probabilities):
    position, neighborhood = probabilities
    bits = unpack(*allowed(rule("both", position), neighborhood), 13)
    each = (position > np.float32(0.01)) & (neighborhood > np.float32(0.01))
    agreed = each.any(1)
    assert 0 < agreed.sum() < len(agreed)
    np.testing.assert_array_equal(bits[agreed], each[agreed])


@pytest.mark.parametrize("name", THRESHOLDED)
def test_one_condition_alone_is_its_threshold(probabilities, name):
    position, neighborhood = probabilities
    np.testing.assert_array_equal(
        unpack(*allowed(rule(name, position), None), 13), position > np.float32(0.01)
    )
    np.testing.assert_array_equal(
        unpack(*allowed(rule(name, None), neighborhood), 13), neighborhood > np.float32(0.01)
    )


def test_without_conditions_everything_is_allowed():
    assert rule("average", None).evidence(None) == [None]
    assert rule("penalty", None).penalty(None) is None


def test_where_the_two_share_no_class_position_decides():
    position = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0]], np.float32)
    neighborhood = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], np.float32)
    (bits,) = allowed(rule("both", position, classes=3), neighborhood)
    assert unpack(bits, 3).tolist() == [[True, True, False], [True, False, False]]


def test_scores_thresholds_each_condition_by_itself(probabilities):
    position, neighborhood = probabilities
    first, second = allowed(rule("scores", position), neighborhood)
    np.testing.assert_array_equal(unpack(first, 13), position > np.float32(0.01))
    np.testing.assert_array_equal(unpack(second, 13), neighborhood > np.float32(0.01))


def test_the_penalty_is_the_surprise_under_the_mean(probabilities):
    position, neighborhood = probabilities
    expected = -np.log(np.maximum((position + neighborhood) / 2, 1e-12))
    np.testing.assert_allclose(
        rule("penalty", position).penalty(neighborhood), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        rule("penalty", position).penalty(None),
        -np.log(np.maximum(position, 1e-12)),
        rtol=1e-5,
        atol=1e-6,
    )
    impossible = np.zeros((1, 3), np.float32)
    assert np.isfinite(rule("penalty", None, classes=3).penalty(impossible)).all()


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_packing_by_shifts_is_packing(classes, seed):
    random = np.random.default_rng(seed)
    given = random.random((2, 3, classes)) < random.random()
    packed = shifted(torch.from_numpy(given))
    assert packed.dtype == torch.uint8
    np.testing.assert_array_equal(packed.numpy(), pack(given))
    np.testing.assert_array_equal(pack_on(torch.from_numpy(given)).numpy(), pack(given))


@pytest.mark.parametrize("name", THRESHOLDED)
def test_a_batch_is_its_maps(name):
    random = np.random.default_rng(0)
    position, *maps = random.dirichlet(np.full(13, 0.1), (4, 50)).astype(np.float32)
    one_rule = rule(name, position)
    batch = one_rule.evidence(np.stack(maps))
    for index, one in enumerate(maps):
        for together, alone in zip(batch, allowed(one_rule, one), strict=True):
            # Under "scores" position decides by itself, alike for every map.
            np.testing.assert_array_equal(together if together.ndim == 2 else together[index], alone)


@pytest.mark.parametrize("name", THRESHOLDED)
def test_tensors_on_a_gpu_allow_what_arrays_do(name, monkeypatch):
    """The path of a GPU, here on the CPU: position goes there once, the networks' output is there."""
    position, *maps = np.random.default_rng(0).dirichlet(np.full(13, 0.1), (4, 50)).astype(np.float32)
    expected = rule(name, position).evidence(np.stack(maps))
    for module in ("both", "average"):
        monkeypatch.setattr(
            f"pni_fast.scoring.rules.{module}.on_device", lambda value, _: torch.as_tensor(value)
        )
    on_gpu = rule(name, position, device=Device("cuda"))
    for together, one in zip(on_gpu.evidence(torch.from_numpy(np.stack(maps))), expected, strict=True):
        assert isinstance(together, torch.Tensor)
        np.testing.assert_array_equal(to_host(together)[0], one)


@pytest.mark.parametrize("name", THRESHOLDED)
def test_bits_are_those_of_float32_in_numpy(name):
    """Probabilities at the threshold, a rounding above and one below it."""
    tau = np.float32(1 / 7200)
    edge = np.array([np.nextafter(tau, 0), tau, np.nextafter(tau, 1)], np.float32)
    position, neighborhood = (grid.reshape(1, -1) for grid in np.meshgrid(edge, edge))
    found = allowed(rule(name, position, rows=3600, classes=9), neighborhood)
    by_position, by_neighborhood = position > tau, neighborhood > tau
    expected = {
        "average": [(neighborhood + position) * np.float32(0.5) > tau],
        "both": [by_position & by_neighborhood],
        "scores": [by_position, by_neighborhood],
    }[name]
    for bits, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(unpack(bits, 9), wanted)


def test_every_rule_of_the_settings_has_its_class():
    assert list(RULE_CLASSES) == list(RULES)
    assert len(set(RULE_CLASSES.values())) == len(RULES)


@pytest.mark.parametrize("name", list(RULES))
def test_scores_are_those_of_a_plain_search(probabilities, name):
    """Every rule, with both conditions, against the definition written out."""
    position, neighborhood = probabilities
    random = np.random.default_rng(1)
    rows = random.uniform(-5, 60, (50, 1)).astype(np.float32)
    one = rule(name, position)
    evidence = one.evidence(neighborhood)
    found = one.scores(rows, evidence, threads=2)
    distances = np.abs(rows.astype(np.float64) - one.coreset[:, 0])
    tau = np.float32(0.01)

    def under(sets):
        return np.where(sets[:, one.groups], distances, np.inf).min(axis=1)

    mean = (position + neighborhood) * np.float32(0.5)
    shared = (position > tau) & (neighborhood > tau)
    both = np.where(shared.any(1, keepdims=True), shared, position > tau)
    expected = {
        "average": lambda: under(mean > tau),
        "both": lambda: under(both),
        "blend": lambda: 0.75 * distances.min(axis=1) + 0.25 * under(both),
        "scores": lambda: (under(position > tau) + under(neighborhood > tau)) / 2,
        "penalty": lambda: (distances - np.log(np.maximum(mean, 1e-12))[:, one.groups]).min(axis=1),
    }[name]()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
