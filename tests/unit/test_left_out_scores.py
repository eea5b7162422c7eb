"""Images left out of a fit: scored as by a model that does not know them."""

from dataclasses import replace

import numpy as np
import pytest
from pictures import texture
from pni_fast import PNI, DataError, PniError, position_histogram
from pni_fast.distribution import shrinkage
from pni_fast.distribution.bank import Bank
from pni_fast.distribution.trials import Trials
from pni_fast.model import fit as fitting
from pni_fast.model.decision_fit import same_as
from pni_fast.model.left_out import LeavingOut, chosen_images
from pni_fast.runtime.run import Run
from refiners import SMALL

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def model(good):
    return PNI(**TINY).fit(good)


def fitted_with_bank(good, monkeypatch, **settings):
    kept = []
    whole = fitting.Tally.add
    monkeypatch.setattr(
        fitting.Tally, "add", lambda self, *given: (kept.append(given), whole(self, *given))[1]
    )
    model = PNI(**{**TINY, **settings}).fit(good)
    ((fitted, bank, sources, _),) = kept
    return model, fitted, bank, sources


@pytest.mark.parametrize(
    "settings",
    [
        {"position_gate": False},
        {"rule": "average", "neighborhood": True, "position_gate": False},
        {"rule": "penalty", "position_gate": False},
    ],
)
def test_left_out_maps_are_those_of_a_model_without_the_image(good, monkeypatch, settings):
    """The oracle: a whole model put together from what is left, through the ordinary scorer."""
    model, fitted, bank, sources = fitted_with_bank(good, monkeypatch, **settings)
    leaving = LeavingOut(fitted, bank, Run(), {})
    index = 2
    found = leaving.map(sources[index], index)
    rest = bank.without(index)
    left = replace(fitted, distribution=leaving.without(rest))
    assert not (left.distribution.coreset[:, None] == bank.of(index)[None]).all(axis=2).any()
    crops = next(model.predict([good[index]])).image[None]
    np.testing.assert_array_equal(found, left.scorer(Run()).maps(crops, 1)[0])
    assert float(found.max()) in model.decision_.scores
    if settings.get("rule") != "penalty":
        return
    assert left.distribution.position.sum(axis=2) == pytest.approx(1, abs=1e-4)
    again = shrinkage.shrunken_by(bank.labels, *histogram_of(bank), leaving.strength)
    np.testing.assert_array_equal(again, fitted.distribution.position)


@pytest.mark.parametrize(("number", "condition"), [(0, "none"), (2, "position"), (6, "context")])
def test_distances_that_trials_found_are_used_and_are_the_same(good, monkeypatch, number, condition):
    monkeypatch.setattr(Trials, "decided", classmethod(lambda cls, rows: cls(tuple(rows), number)))
    _, fitted, bank, sources = fitted_with_bank(good, monkeypatch)
    assert fitted.distribution.condition == condition
    leaving = LeavingOut(fitted, bank, Run(), {})
    assert sorted(bank.left_out) == list(range(len(good)))
    found = [leaving.map(sources[index], index) for index in sorted(bank.left_out)]
    bank.left_out.clear()
    np.testing.assert_array_equal(found, [leaving.map(source, n) for n, source in enumerate(sources)])


def histogram_of(bank):
    return position_histogram(bank.labels, bank.n_classes, patch=bank.window), bank.window


def test_a_left_out_image_scores_higher_than_one_that_is_known(model, good):
    assert np.mean(model.decision_.scores) > np.mean(model.score_samples(good))
    assert len(model.decision_.scores) == len(good)
    np.testing.assert_array_equal(model.decision_.scores, model.decision_.peaks)


def test_same_images_are_left_out_together(good, model):
    doubled = PNI(**TINY).fit([*good, good[0]])
    alone = max(model.decision_.scores)
    assert min(doubled.decision_.scores) > 0.3 * alone, "its twin does not vouch for it"
    assert len(doubled.decision_.scores) == len(good), "it is no second good image"


@pytest.mark.parametrize("times", [1, 3, 120])
def test_what_is_promised_follows_from_images_that_differ(good, times):
    """Images again and again are no more images: neither those left out nor those for calibration."""
    once, often = chosen_images(FakeBank(10), {}), FakeBank(10 * times)
    twins = same_as(np.tile(np.arange(10), times)) if times > 1 else {}
    assert chosen_images(often, twins) == once == list(range(10))
    if times > 3:
        return
    model = PNI(**TINY).fit(good * times)
    assert model.decision_.count == len(good)
    assert model.decision_.promised == pytest.approx(1 / (len(good) + 1))
    new = [texture(60 + seed) for seed in range(4)]
    steps = []
    model.set_threshold(calibrate=new * times, progress=lambda *step: steps.append(step))
    assert model.decision_.promised == pytest.approx(1 / 5)
    assert steps[-1] == ("calibrate", 4, 4)
    alone = PNI.from_fitted(model.fitted, model.run).set_threshold(calibrate=new)
    np.testing.assert_array_equal(model.decision_.scores, alone.decision_.scores)


class FakeBank:
    """A bank that can lose anything."""

    def __init__(self, count):
        self.count = count

    def can_lose(self, *_):
        return True


def test_a_suspect_that_is_there_twice_is_named_and_dropped_twice():
    images = [*[texture(seed) for seed in range(10)], texture(50, defect=True)]
    doubled = PNI(**TINY).fit(images + images[-1:])
    assert [suspect.name for suspect in doubled.decision_.suspects] == ["10", "11"]
    assert [one.name for one in doubled.suspects_] == ["10", "11"]
    assert len({one.score for one in doubled.suspects_}) == 1
    dropped = PNI(**TINY).fit(images + images[-1:], drop_suspects=2)
    assert dropped.n_images_ == 10
    assert dropped.decision_.suspects == ()


def test_the_refiner_and_the_mean_of_largest_values_are_part_of_it(good):
    refiner = replace(SMALL, iterations=1)
    model = PNI(**TINY, refinement=True, refiner=refiner, image_score=0.01).fit(good[:4])
    decision = model.decision_
    assert not np.array_equal(decision.scores, decision.peaks)
    assert (decision.scores < decision.peaks).all()
    # Maps that go through a refiner are normalised: about 1 on normal images.
    assert 0.2 < decision.peaks[-1] < 5


def test_one_image_has_no_threshold_and_says_so(good):
    model = PNI(**TINY).fit(good[:1])
    assert model.threshold_ is None
    (result,) = model.predict(good[:1])
    assert (result.p_value, result.is_defective) == (None, None)
    with pytest.raises(PniError, match="no threshold"):
        model.predict_labels(good[:1])
    with pytest.raises(AttributeError, match="no threshold"):
        _ = model.offset_
    with pytest.raises(PniError, match="keeps no scores of good images"):
        model.set_threshold(0.05)
    assert model.set_threshold(at=3.0).threshold_ == 3.0


def test_verdicts_have_scikit_learns_signs(model, good):
    images = [good[0], texture(20, defect=True)]
    results = list(model.predict(images))
    assert [result.is_defective for result in results] == [False, True]
    assert results[1].p_value == pytest.approx(1 / 7)
    distances = model.decision_function(images)
    np.testing.assert_allclose(distances, -model.score_samples(images) - model.offset_, rtol=1e-6)
    assert model.predict_labels(images).tolist() == [1, -1]
    assert model.offset_ == -model.threshold_


def test_the_file_keeps_the_decision(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    before, after = model.decision_, loaded.decision_
    for name in ("scores", "peaks", "digests"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert before.summary() == after.summary() == loaded.summary()["decision"]


def test_good_images_of_other_days_stand_for_the_threshold(model, good):
    apart = [texture(seed) for seed in range(40, 52)]
    calibrated = PNI(**TINY).fit(good, calibrate=apart, false_alarms=0.2)
    expected = np.sort(model.score_samples(apart).astype(np.float64))
    np.testing.assert_array_equal(calibrated.decision_.scores, expected)
    assert calibrated.threshold_ == expected[int(np.ceil(13 * 0.8)) - 1]
    later = PNI.from_fitted(model.fitted, model.run).set_threshold(0.2, calibrate=apart)
    assert later.decision_.summary() == calibrated.decision_.summary()
    with pytest.raises(DataError, match="fitted on this image"):
        PNI(**TINY).fit(good, calibrate=[*apart, good[1]])
    with pytest.raises(DataError, match=r"^1: the model was fitted"):
        PNI.from_fitted(model.fitted, model.run).set_threshold(calibrate=[apart[0], good[1]])


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
def test_a_rate_that_is_none_is_refused(good, rate):
    with pytest.raises(PniError, match="false_alarms must be between 0 and 1"):
        PNI(**TINY).fit(good, false_alarms=rate)


def test_what_trials_scored_is_what_is_kept(good, model, monkeypatch):
    """The scores under which a condition was chosen are those of the threshold, but for rounding."""
    one_thread = model
    from pni_fast.distribution import trying

    found = []
    left_out = trying.Trying.left_out
    monkeypatch.setattr(
        trying.Trying,
        "left_out",
        lambda self, index, places: (found.append(left_out(self, index, places)), found[-1])[1],
    )
    model, _, bank, _ = fitted_with_bank(good, monkeypatch, num_threads=3)
    np.testing.assert_array_equal(model.decision_.scores, one_thread.decision_.scores)
    assert isinstance(bank, Bank)
    row = model.trials_.chosen
    theirs = np.sort([one.good.scores[row] for one in found])
    np.testing.assert_allclose(model.decision_.scores, theirs, rtol=1e-4)
