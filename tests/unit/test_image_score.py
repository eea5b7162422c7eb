"""The score of an image is the maximum of its map, or the mean of a share of its largest values."""

import numpy as np
import pytest
from pictures import make_category, texture
from pni_fast import PNI, PniError
from pni_fast.config import PRESETS, Config
from pni_fast.data import open_category
from pni_fast.evaluation import evaluate
from pni_fast.model.prediction import image_score

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "position_gate": False, "device": "cpu"}


def test_a_share_of_the_largest_values():
    values = np.random.default_rng(0).permutation(200).reshape(10, 20).astype(np.float32)
    assert image_score(values, 0.0) == 199
    assert image_score(values, 0.02) == np.mean([196, 197, 198, 199])
    assert image_score(values, 0.001) == 199, "at least one pixel"
    assert image_score(values, 0.999) == np.mean(np.arange(200))
    assert image_score(np.zeros((3, 3), np.float32), 0.5) == 0


def test_predictions_evaluation_and_the_file_follow_the_setting(tmp_path):
    category = open_category(make_category(tmp_path / "plates"))
    model = PNI(**TINY, image_score=0.01).fit(category.train)
    model.save(tmp_path / "model.safetensors")
    model = PNI.load(tmp_path / "model.safetensors", device="cpu")
    plain = PNI(**TINY).fit(category.train)
    images = [texture(50), texture(51, defect=True)]
    for share, most in zip(model.predict(images), plain.predict(images), strict=True):
        assert share.anomaly_map.tobytes() == most.anomaly_map.tobytes()
        largest = np.sort(share.anomaly_map, axis=None)[-41:]  # of 64 × 64
        assert share.score == pytest.approx(largest.mean(dtype=np.float64))
        assert most.score == most.anomaly_map.max() > share.score
    assert model.normalization_ == plain.normalization_
    for result in evaluate(model, category).results:
        assert result.score == image_score(result.anomaly_map, 0.01)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(PniError, match=f"image_score must be at least 0 and below 1, got {share}"):
        PNI(image_score=share)


def test_settings_older_than_this_one_take_the_maximum():
    old = PRESETS["lite"].as_dict()
    del old["image_score"]
    assert Config.from_dict(old).image_score == 0
