"""A made-up model that finds bright pixels is held against masks on a tiny category."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from pni_fast.config import Geometry
from pni_fast.data import open_category
from pni_fast.data.cropping import crop_image
from pni_fast.errors import DataError, PniError
from pni_fast.evaluation import evaluate, write_metrics
from pni_fast.report import write_report

SIDE, CROP = 20, 16


@dataclass
class Found:
    score: float
    anomaly_map: np.ndarray
    image: np.ndarray


class BrightnessModel:
    geometry = Geometry(SIDE, CROP)
    normalization_ = (0.0, 0.25)

    def __init__(self):
        self.scored = []

    def predict(self, images, *, progress):
        for done, source in enumerate(images):
            self.scored.append(source.name)
            image = crop_image(source.read(), self.geometry)
            found = image.max(axis=2).astype(np.float32) / 255
            progress("score", done + 1, len(images))
            yield Found(float(found.max()), found, image)

    def summary(self):
        return {"preset": "brightness", "crop": CROP}


def write(path, spots, brightness=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((SIDE, SIDE), 20, np.uint8)
    for row, column in spots:
        pixels[row : row + 3, column : column + 3] = brightness
    Image.fromarray(pixels).save(path)


@pytest.fixture
def category(tmp_path):
    root = tmp_path / "plate"
    write(root / "train/good/0.png", [])
    for index in range(3):
        write(root / f"test/good/{index}.png", [])
        write(root / f"test/spot/{index}.png", [(4 + index, 8)])
        write(root / f"ground_truth/spot/{index}_mask.png", [(4 + index, 8)])
        mask = np.asarray(Image.open(root / f"ground_truth/spot/{index}_mask.png")) > 100
        Image.fromarray(mask).save(root / f"ground_truth/spot/{index}_mask.png")
    return root


class ContextModel(BrightnessModel):
    """Names three training images for every image: one in the category, one under two names, one nowhere."""

    def alike(self, images):
        self.asked = [source.name for source in images]
        return [("train/good/0.png", "1.png", "train/good/2.png") for _ in images]


def test_images_worth_a_look_come_with_those_they_were_compared_with(category):
    write(category / "train/good/part/1.png", [])
    write(category / "train/good/1.png", [])
    write(category / "test/good/3.png", [(4, 8)], 250)  # a false alarm
    write(category / "test/spot/3.png", [])  # missed
    model = ContextModel()
    outcome = evaluate(model, open_category(category), compared=4)
    assert model.asked == ["spot/3.png", "good/3.png", "spot/0.png", "spot/1.png"]
    assert list(outcome.compared) == model.asked
    for found in outcome.compared.values():
        assert found.names == ("train/good/0.png", "1.png", "train/good/2.png")
        assert {name: picture.shape for name, picture in found.pictures.items()} == {
            "train/good/0.png": (CROP, CROP, 3)
        }
    assert evaluate(BrightnessModel(), open_category(category)).compared == {}


@pytest.mark.parametrize("own", [True, False])
def test_a_good_image_at_the_models_own_threshold_is_no_mistake(category, own):
    write(category / "test/good/3.png", [(4, 8)], 200)
    model = ContextModel()
    bright = [result.score for result in evaluate(model, open_category(category)).results if result.defective]
    model.summary = lambda: {"decision": {"threshold": bright[0], "promised": 0.1}} if own else {}
    evaluate(model, open_category(category), compared=9)
    # As bright as the spots: at the model's threshold all are called good, at that of the best F1 defective.
    assert ("good/3.png" in model.asked) is not own
    assert {"spot/0.png", "spot/1.png", "spot/2.png"} <= set(model.asked)


def test_a_perfect_model(category):
    stages = []
    outcome = evaluate(BrightnessModel(), open_category(category), progress=lambda *step: stages.append(step))
    figures = outcome.metrics
    assert (figures.image_auroc, figures.image_f1_max, figures.pixel_f1_max) == (1.0, 1.0, 1.0)
    assert figures.pixel_auroc == pytest.approx(1.0)
    assert figures.aupro == pytest.approx(1.0)
    assert outcome.category == "plate"
    assert outcome.map_range == (0.0, 0.25)
    assert outcome.notes == []
    assert [(r.name, r.sample.defect, r.defective) for r in outcome.results][2:4] == [
        ("good/2.png", None, False),
        ("spot/0.png", "spot", True),
    ]
    for result in outcome.results:
        assert result.image.shape == (CROP, CROP, 3)
        assert result.mask.sum() == (9 if result.defective else 0)
    assert stages[:2] == [("score", 1, 6), ("score", 2, 6)]
    assert stages[-2:] == [("metrics", 0, 1), ("metrics", 1, 1)]


def test_metrics_file(category, tmp_path):
    (category / "ground_truth/spot/2_mask.png").unlink()
    outcome = evaluate(BrightnessModel(), open_category(category))
    target = tmp_path / "out" / "metrics.json"
    write_metrics(outcome, target)
    found = json.loads(target.read_text())
    assert list(found)[:5] == ["image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro"]
    assert found["image_auroc"] == 1.0
    assert found["image_threshold"] == pytest.approx(200 / 255)
    assert found["counts"] == {
        "good": 3,
        "defective": 3,
        "defective_without_mask": 1,
        "defects": {"spot": 3},
    }
    assert found["notes"] == ["1 defective image without a mask left out of the pixel metrics."]
    assert found["model"] == {"preset": "brightness", "crop": CROP}
    assert found["category"] == "plate"
    assert [path.name for path in target.parent.iterdir()] == ["metrics.json"]
    with pytest.raises(PniError, match="cannot write"):
        write_metrics(outcome, target.parent)


def test_a_defect_outside_the_crop_is_noted(category):
    write(category / "test/spot/1.png", [(0, 0)])
    mask = np.zeros((SIDE, SIDE), bool)
    mask[0, :] = True
    Image.fromarray(mask).save(category / "ground_truth/spot/1_mask.png")
    outcome = evaluate(BrightnessModel(), open_category(category))
    assert outcome.notes == ["No marked pixel lies inside the crop of 1 defective image: spot/1.png."]
    assert outcome.metrics.pixel_auroc is not None


def test_mask_files_of_no_image_are_noted(category):
    truth = category / "ground_truth/spot"
    (truth / "1_mask.png").rename(truth / "one_mask.png")
    outcome = evaluate(BrightnessModel(), open_category(category))
    assert outcome.as_dict()["notes"] == [
        "1 defective image without a mask left out of the pixel metrics.",
        "1 mask file of no test image left out: the first is ground_truth/spot/one_mask.png.",
    ]


def test_file_names_that_are_not_utf8(category, tmp_path):
    odd = category / "test/spot/odd\udcff.png"
    (category / "test/spot/1.png").rename(odd)
    Image.new("1", (SIDE, SIDE)).save(category / "ground_truth/spot/odd\udcff_mask.png")
    outcome = evaluate(BrightnessModel(), open_category(category))
    write_metrics(outcome, tmp_path / "metrics.json")
    write_report(outcome, tmp_path / "report.html")
    assert "odd?.png" in json.loads((tmp_path / "metrics.json").read_text())["notes"][0]
    assert "odd?.png" in (tmp_path / "report.html").read_text()


def test_no_masks_at_all(category):
    for path in (category / "ground_truth/spot").iterdir():
        path.unlink()
    outcome = evaluate(BrightnessModel(), open_category(category))
    assert outcome.metrics.pixel_auroc is None
    assert outcome.metrics.image_auroc == 1.0
    assert outcome.as_dict()["aupro"] is None


def test_masks_are_checked_before_anything_is_scored(category):
    Image.new("1", (SIDE, SIDE + 1)).save(category / "ground_truth/spot/2_mask.png")
    model = BrightnessModel()
    with pytest.raises(DataError, match=r"2_mask\.png: .* 20×20, got 20×21"):
        evaluate(model, open_category(category))
    assert model.scored == []


def test_a_category_without_test_images(category):
    opened = open_category(category)
    opened.test.clear()
    with pytest.raises(DataError, match="must hold test images, got none"):
        evaluate(BrightnessModel(), opened)
