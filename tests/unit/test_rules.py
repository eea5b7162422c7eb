"""The rules of combination through the whole pipeline: fit, score, save, load, leave a part out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import texture
from pni_fast import PNI
from pni_fast.scoring.anomaly_map import Upsampler

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"}
THRESHOLDS = TINY | {"rule": "both", "neighborhood": True}
DEFECT = texture(51, defect=True)


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def best(good):
    return PNI("best", **TINY).fit(good)


@pytest.fixture(scope="module")
def thresholds(good):
    return PNI("lite", **THRESHOLDS).fit(good)


def anomaly_map(model):
    (prediction,) = model.predict(DEFECT)
    return prediction.anomaly_map


def changed(model, **settings):
    """Return the fitted model with other settings of its scoring, not fitted anew."""
    return PNI.from_fitted(replace(model.fitted, config=replace(model.config, **settings)), model.run)


def test_the_penalty_map_is_equation_5_without_its_threshold(good):
    model = PNI("best", **TINY, neighborhood=True).fit(good)
    (prediction,) = model.predict(DEFECT)
    features = model.extractor_(torch.from_numpy(prediction.image)[None])
    by_neighbors = model.neighborhood_.probabilities(features)[0].numpy()
    p = (model.position_.reshape(64, 12) + by_neighbors) / 2
    rows = features[0].numpy().reshape(64, -1)
    distances = np.linalg.norm(rows[:, None].astype(float) - model.coreset_[None], axis=2)
    scores = (model.scale_ * distances - np.log(p)[:, model.groups_]).min(axis=1)
    expected = Upsampler((8, 8), (64, 64), 8.0)(scores.astype(np.float32).reshape(8, 8))
    np.testing.assert_allclose(prediction.anomaly_map, expected, rtol=1e-4)


def test_position_that_was_dropped_leaves_the_plain_distance(good, tmp_path, monkeypatch):
    monkeypatch.setattr("pni_fast.distribution.gate.LIMIT", -1.0)
    model = PNI("best", **TINY).fit(good)
    assert model.position_ is None
    neither = PNI("best", **TINY, position=False).fit(good)
    np.testing.assert_array_equal(anomaly_map(model), anomaly_map(neither))
    plain = PNI("lite", **TINY, position=False, neighborhood=False).fit(good)
    np.testing.assert_allclose(anomaly_map(model), model.scale_ * anomaly_map(plain), rtol=1e-4)
    model.save(tmp_path / "dropped.safetensors")
    loaded = PNI.load(tmp_path / "dropped.safetensors", device="cpu")
    assert loaded.position_ is None
    np.testing.assert_array_equal(anomaly_map(loaded), anomaly_map(model))


def test_a_saved_model_keeps_its_lambda(best, tmp_path):
    assert best.position_ is not None
    assert best.scale_ not in (0.0, 1.0)
    best.save(tmp_path / "best.safetensors")
    loaded = PNI.load(tmp_path / "best.safetensors", device="cpu")
    assert loaded.scale_ == best.scale_
    np.testing.assert_array_equal(anomaly_map(loaded), anomaly_map(best))


def test_a_missing_histogram_is_still_an_error_with_a_threshold(thresholds, tmp_path):
    from pni_fast import ModelFileError

    whole = thresholds.fitted
    broken = PNI.from_fitted(
        replace(whole, distribution=replace(whole.distribution, position=None)), thresholds.run
    )
    broken.save(tmp_path / "broken.safetensors")
    with pytest.raises(ModelFileError, match="position"):
        PNI.load(tmp_path / "broken.safetensors", device="cpu")


def test_same_bits_for_any_number_of_threads(good, best):
    other = PNI("best", **TINY, num_threads=1).fit(good)
    np.testing.assert_array_equal(anomaly_map(other), anomaly_map(best))


def test_a_given_lambda_is_used_in_place_of_the_fitted_one(good, thresholds):
    assert PNI("best", **TINY, likelihood_lambda=0.25).fit(good).scale_ == 0.25
    doubled = PNI("lite", **THRESHOLDS, likelihood_lambda=2).fit(good)
    np.testing.assert_allclose(anomaly_map(doubled), 2 * anomaly_map(thresholds), rtol=1e-6)


def test_scores_averages_what_each_condition_finds(thresholds):
    fitted = thresholds.fitted

    def only(**parts):
        alone = replace(fitted, distribution=replace(fitted.distribution, **parts))
        return anomaly_map(PNI.from_fitted(alone, thresholds.run))

    mean = (only(neighborhood=None) + only(position=None)) / 2
    averaged = anomaly_map(changed(thresholds, rule="scores"))
    np.testing.assert_allclose(averaged, mean, rtol=1e-5)
    assert not np.allclose(averaged, anomaly_map(thresholds))


def test_leaving_a_part_out_is_a_fit_without_it(good, tmp_path):
    from pni_fast.benchmark.variants import Variant, derive

    paths = []
    for index, image in enumerate(good):
        paths.append(tmp_path / f"{index}.png")
        image.save(paths[-1])
    full = PNI("best", **TINY, neighborhood=True).fit(paths)
    for name, parts in {"N": {"position": False, "neighborhood": True}, "P": {"neighborhood": False}}.items():
        fresh = PNI("best", **TINY, **parts).fit(paths)
        np.testing.assert_array_equal(
            anomaly_map(derive(full, Variant.named(name), paths)), anomaly_map(fresh), err_msg=name
        )
