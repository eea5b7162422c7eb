"""A part of the picture that is inspected: what lies outside decides nothing."""

import numpy as np
import pytest
from pictures import texture
from PIL import Image
from pni_fast import PNI, DataError, PniError
from pni_fast.config import Geometry
from pni_fast.data.inspected import Inspected, read_inspected

TINY = {
    **{"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"},
    "position_gate": False,
}
SIDE = 96


def noisy(seed, **options):
    """A texture with something else in its right half every time."""
    image = np.asarray(texture(seed, **options)).copy()
    image[:, 60:] = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE - 60, 3))
    return Image.fromarray(image)


@pytest.fixture(scope="module")
def left():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, :56] = True
    return mask


@pytest.fixture(scope="module")
def model(left):
    return PNI(**TINY).fit([noisy(seed) for seed in range(5)], roi=left)


def test_patches_outside_are_like_the_nearest_inside():
    mask = np.zeros((8, 8), bool)
    mask[0, 7] = mask[5, 0] = True
    inspected = Inspected(mask, (4, 4))
    assert np.argwhere(inspected.inside).tolist() == [[0, 3], [2, 0]]
    assert inspected.share == 2 / 16
    assert inspected.sources.reshape(4, 4).tolist() == [
        [8, 3, 3, 3],
        [8, 8, 3, 3],
        [8, 8, 8, 3],
        [8, 8, 8, 3],
    ]
    features = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    inspected.fill(features)
    assert set(features.ravel()) == {3.0, 8.0}


def test_nothing_outside_counts(model, left):
    images = [texture(9), noisy(9), noisy(90)]
    changed = [
        Image.fromarray(np.where(left[:, :, None], np.asarray(texture(9)), np.asarray(one))) for one in images
    ]
    found = list(model.predict(changed))
    outside = np.flatnonzero(~model.fitted.roi.any(axis=0))
    assert all((one.anomaly_map[:, outside] == 0).all() for one in found)
    assert max(one.score for one in found) < 1.5 * model.threshold_, "what is right at the border is seen"
    assert model.summary()["inspected"] == pytest.approx(model.fitted.roi.mean())
    rows = model.fitted.inspected.inside.sum() * 5
    assert len(model.coreset_) == int(rows * 0.1)


def test_a_defect_counts_where_it_is_inspected(model):
    """In so small a picture the network sees all of it from everywhere: the second is not nothing."""
    plain = np.asarray(noisy(9))
    inside, outside = plain.copy(), plain.copy()
    inside[40:60, 16:36] = outside[40:60, 76:96] = (250, 40, 40)
    good, found, beyond = model.score_samples([plain, inside, outside])
    assert found > model.threshold_
    assert found - good > 2 * abs(beyond - good)


def test_the_file_keeps_the_mask_and_a_picture_of_another_size_is_told(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    np.testing.assert_array_equal(loaded.fitted.roi, model.fitted.roi)
    assert loaded.fitted.image_size == (SIDE, SIDE)
    assert loaded.score_samples([noisy(3)]) == model.score_samples([noisy(3)])
    with pytest.warns(UserWarning, match="48×96 pixels, the images fitted on had another size, 96×96"):
        list(loaded.predict([noisy(3).resize((48, 96))] * 2))
    with pytest.raises(DataError, match="must have the size of the images fitted on, 96×96, got 48×96"):
        loaded.update([noisy(70).resize((48, 96))])
    assert loaded.update([noisy(70)]).added == 1
    assert (next(loaded.predict([noisy(3)])).anomaly_map[:, -4:] == 0).all()


def test_a_mask_is_read_scaled_or_refused(tmp_path):
    geometry = Geometry(80, 64, 8)
    white = np.zeros((48, 96), np.uint8)
    white[:, 48:] = 255
    Image.fromarray(white).save(tmp_path / "roi.png")
    mask = read_inspected(tmp_path / "roi.png", geometry, (96, 48))
    assert not mask[:, :31].any()
    assert mask[:, 33:].all()
    with pytest.warns(UserWarning, match=r"roi\.png: 96×48, the images are 90×90: the mask is scaled"):
        read_inspected(tmp_path / "roi.png", geometry, (90, 90))
    Image.new("L", (96, 48)).save(tmp_path / "black.png")
    with pytest.raises(PniError, match=r"black\.png: must be white where images are inspected"):
        read_inspected(tmp_path / "black.png", geometry, None)
    with pytest.raises(DataError, match="no such file"):
        read_inspected(tmp_path / "none.png", geometry, None)


def test_conditions_are_tried_inside(left):
    model = PNI(**{**TINY, "position_gate": True}).fit([noisy(seed) for seed in range(4)], roi=left)
    assert model.trials_ is not None
    assert len(model.decision_.scores) == 4
