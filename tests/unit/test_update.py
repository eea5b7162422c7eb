"""More good images for a fitted model; suspects among the good."""

import numpy as np
import pytest
from model_files import PENALTY
from pictures import texture
from pni_fast import PNI, DataError, PniError, nearest, position_histogram
from pni_fast.data import Source
from pni_fast.distribution.context import Context, describe
from pni_fast.model.grown import grown_context
from pni_fast.model.update import radius

TINY = {
    **{"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"},
    "position_gate": False,
}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(6)] + [texture(30 + seed, defect=True) for seed in range(3)]


@pytest.fixture(scope="module")
def model(good):
    return PNI(**TINY, context=False).fit(good[:6])


def test_an_update_lets_new_images_in(model, good, tmp_path):
    before = model.fitted
    alarms = [result.score for result in model.predict(good[6:])]
    assert min(alarms) > model.threshold_
    done = model.update(good[5:])
    assert (done.added, done.known) == (3, ("0",))
    assert done.vectors[0] > 0
    assert max(result.score for result in model.predict(good[6:])) < min(alarms)
    assert model.n_images_ == 9
    np.testing.assert_array_equal(
        model.coreset_[: len(before.distribution.coreset)], before.distribution.coreset
    )
    assert len(model.decision_.scores) == 9
    assert set(before.decision.scores) < set(model.decision_.scores)
    assert len(model.decision_.digests) == 9
    own, _ = nearest(model.coreset_, model.coreset_[:12])
    np.testing.assert_array_equal(model.groups_, own)
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    assert loaded.score_samples(good).tobytes() == model.score_samples(good).tobytes()
    with pytest.raises(DataError, match="all 3 images are in the model already"):
        loaded.update(good[6:])


def test_position_is_counted_on_exactly(good):
    fit = PNI(**TINY, context=False).fit(good[:4])
    before = fit.position_
    fit.update(good[4:6])
    rows = np.stack(list(_features(fit, good[4:6])))
    labels = nearest(rows.reshape(-1, rows.shape[-1]), fit.coreset_[:12])[0].reshape(rows.shape[:3])
    expected = (4 * before + 2 * position_histogram(labels, 12)) / 6
    np.testing.assert_allclose(fit.position_, expected, rtol=1e-5)
    # A new image is scored without its own share.
    assert fit.decision_.scores[-1] >= max(fit.score_samples(good[4:6])) - 1e-5


def test_context_is_counted_on_as_if_all_had_been_there(good):
    rng = np.random.default_rng(0)
    labels, rows = rng.integers(0, 9, (7, 4, 4)), rng.normal(2, 3, (7, 16, 5)).astype(np.float32)
    each = np.stack([describe(one) for one in rows])
    each[:, 0] = 1.0  # no spread at all
    named, options = [str(number) for number in range(7)], {"images": 3, "window": 3, "n_classes": 9}
    whole = Context.of(labels, each, kept=np.arange(7), names=tuple(named), **options)
    half = Context.of(labels[:4], each[:4], kept=np.arange(4), names=tuple(named[:4]), **options)
    grown = grown_context(half, 4, labels[4:], each[4:], named[4:], None, 1)
    for name in ("labels", "descriptors", "names"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(whole, name))
    np.testing.assert_allclose(grown.center, whole.center, rtol=1e-5)
    np.testing.assert_allclose(grown.spread, whole.spread, rtol=1e-4)
    assert len(grown_context(half, 4, labels[4:], each[4:], named[4:], 5, 1).labels) == 5
    model = PNI(**TINY).fit(good[:4])
    model.update(good[4:6])
    assert len(model.context_.labels) == 6


def test_the_radius_is_the_least_distance_of_two_vectors():
    rows = np.random.default_rng(0).normal(size=(700, 4)).astype(np.float32)
    squares = ((rows[:, None].astype(float) - rows[None]) ** 2).sum(2)
    np.fill_diagonal(squares, np.inf)
    assert radius(rows, 1) == pytest.approx(np.sqrt(squares.min()), rel=1e-5)
    assert radius(rows[:1], 1) == np.inf


def test_models_that_cannot_be_updated_say_why(good):
    with pytest.raises(PniError, match="keeps no scores of good images, which an update needs"):
        PNI.load(PENALTY, device="cpu").update(good)
    penalty = PNI(**TINY, rule="penalty").fit(good[:3])
    with pytest.raises(PniError, match="the rule 'penalty' cannot be updated"):
        penalty.update(good[4:])


def test_an_update_says_when_a_calibrated_threshold_may_have_lost_its_ground(good):
    model = PNI(**TINY, context=False).fit(good[:3], calibrate=good[3:6])
    with pytest.warns(UserWarning, match="calibrated with 3 good images .* calibrate again with others"):
        model.update(good[4:5])
    assert (model.decision_.source, model.decision_.count) == ("calibration", 3)


def test_suspects_are_named_shown_and_left_out():
    images = [texture(seed) for seed in range(12)] + [texture(40, defect=True)]
    model = PNI(**TINY, context=False).fit(images)
    assert [one.name for one in model.decision_.suspects] == ["12"]
    (shown,) = model.suspects_
    assert shown.score == model.decision_.scores[-1] == shown.anomaly_map.max()
    row, column = np.unravel_index(shown.anomaly_map.argmax(), shown.anomaly_map.shape)
    assert 18 < row < 46
    assert 18 < column < 46
    without = PNI(**TINY, context=False).fit(images, drop_suspects=3)
    assert without.n_images_ == 12
    assert without.suspects_ == []
    assert without.threshold_ < 0.7 * model.threshold_


def test_suspects_are_told_apart_where_names_repeat(tmp_path):
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(8):
            files.append(tmp_path / folder / f"{number}.png")
            defect = (folder, number) == ("a", 3)
            texture(40 if defect else len(files), defect=defect).save(files[-1])
    model = PNI(**TINY, context=False).fit(files)
    assert [one.path for one in model.suspects_] == [tmp_path / "a" / "3.png"]
    assert [one.name for one in model.decision_.suspects] == ["a/3.png"]
    without = PNI(**TINY, context=False).fit(files, drop_suspects=1)
    assert without.n_images_ == 15
    assert without.suspects_ == []
    # Names that a caller gave are kept, and the same name twice drops one image.
    named = [Source("part", file) for file in files]
    assert [one.path for one in PNI(**TINY, context=False).fit(named).suspects_] == [tmp_path / "a" / "3.png"]
    assert PNI(**TINY, context=False).fit(named, drop_suspects=1).n_images_ == 15


def _features(model, images):
    scorer = model.fitted.likelihood_scorer(model.run)
    for result in model.predict(images):
        yield scorer.features(result.image[None])[0]
