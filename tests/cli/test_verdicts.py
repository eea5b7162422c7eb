"""Verdicts on the command line: columns, counts, exit status, regions, and another threshold."""

import csv
import json

import numpy as np
import pytest
from model_files import PENALTY
from pictures import texture
from PIL import Image
from pni_fast import PNI


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_score_says_good_or_defective_and_where(invoke, model_file, category, tmp_path):
    output = tmp_path / "out"
    options = ("-o", output, "--overlays", "--device", "cpu")
    result = invoke("score", model_file, category / "test", *options, "--exit-code")
    assert result.exit_code == 3, result.stderr
    assert ": 2 defective, 2 good. Scores: " in result.stdout
    rows = table(output / "scores.csv")
    assert list(rows[0]) == ["image", "score", "p_value", "verdict"]
    assert [row["verdict"] for row in rows] == ["good", "good", "defective", "defective"]
    assert float(rows[2]["p_value"]) == pytest.approx(1 / 5)
    regions = table(output / "regions.csv")
    assert list(regions[0]) == ["image", "x", "y", "width", "height", "area", "peak"]
    assert {row["image"] for row in regions} == {"stain/000.png", "stain/001.png"}
    box = {name: int(value) for name, value in regions[0].items() if name not in ("image", "peak")}
    for start, side in (("x", "width"), ("y", "height")):
        assert box[start] <= 40
        assert box[start] + box[side] >= 56
    assert box["area"] <= box["width"] * box["height"]
    assert float(regions[0]["peak"]) == float(rows[2]["score"])
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["images"], summary["defective"], summary["good"]) == (4, 2, 2)
    assert summary["decision"]["threshold"] == PNI.load(model_file, device="cpu").threshold_
    assert summary["drift"] is None, "four images show none"
    assert invoke("score", model_file, category / "test/good", *options, "--exit-code").exit_code == 0
    large = invoke("score", model_file, category / "test", *options, "--min-area", "1e6")
    assert large.exit_code == 0, "no status without --exit-code"
    assert table(output / "regions.csv") == []


@pytest.mark.filterwarnings("ignore:.*another aspect ratio")
def test_regions_are_in_pixels_of_a_photograph_that_is_not_square(invoke, model_file, tmp_path):
    wide = np.asarray(texture(30, defect=True).resize((192, 48)))
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(wide).save(photos / "wide.png")
    invoke("score", model_file, photos, "-o", tmp_path / "out", "--device", "cpu", "-q")
    row = table(tmp_path / "out" / "regions.csv")[0]
    x, y, width, height = (int(row[name]) for name in ("x", "y", "width", "height"))
    # The square from 36 to 60 of 96 pixels, twice as wide and half as high.
    assert abs(x + width / 2 - 96) < 12
    assert abs(y + height / 2 - 24) < 4
    assert x >= 0
    assert x + width <= 192
    assert y + height <= 48


def test_a_model_without_a_threshold_says_how_to_give_it_one(invoke, refused, category, tmp_path):
    output = tmp_path / "out"
    result = invoke("score", PENALTY, category / "test", "-o", output, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert "The model has no threshold" in result.stdout
    assert "pni-fast threshold MODEL --calibrate" in result.stdout
    assert [row["verdict"] for row in table(output / "scores.csv")] == [""] * 4
    assert not (output / "regions.csv").exists()
    assert json.loads((output / "summary.json").read_text())["defective"] is None
    options = ("-o", output, "--device", "cpu")
    line = refused("score", PENALTY, category / "test", *options, "--exit-code")
    assert line.startswith(f"{PENALTY}: --exit-code needs a threshold")
    line = refused("threshold", PENALTY, "-o", tmp_path / "t.safetensors", "--false-alarms", 0.1)
    assert "keeps no scores of good images" in line
    given = tmp_path / "given.safetensors"
    result = invoke("threshold", PENALTY, "--calibrate", category / "train", "-o", given, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert "by 4 good images never fitted on" in result.stdout
    assert PNI.load(given, device="cpu").decision_.count == 4


def test_threshold_changes_the_rate_the_images_or_the_number(invoke, refused, model_file, category, tmp_path):
    new = tmp_path / "new.safetensors"
    result = invoke("threshold", model_file, "--false-alarms", 0.4, "-o", new, "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    before = PNI.load(model_file, device="cpu").decision_
    assert record["threshold"] == before.scores[2]
    assert (record["promised"], record["good_images"]) == (0.4, 4)
    assert invoke("threshold", model_file, "--at", 7.5, "-o", new, "-q").exit_code == 0
    assert PNI.load(new, device="cpu").threshold_ == 7.5
    calibrate = ("--calibrate", category / "train/good", "--device", "cpu")
    line = refused("threshold", model_file, *calibrate, "-o", new)
    assert "fitted on this image (same bytes)" in line
    for rate in ("0", "1", "1.5", "nan"):
        line = refused("threshold", model_file, "--false-alarms", rate, "-o", new)
        assert line.startswith("false_alarms must be between 0 and 1")
    assert invoke("threshold", model_file, "--at", 7, "--confidence", 0.9, "-o", new).exit_code == 2
    assert invoke("threshold", model_file, "--false-alarms", "much", "-o", new).exit_code == 2


def test_fit_says_its_threshold_and_what_it_cannot_promise(invoke, category, tmp_path):
    model = tmp_path / "m.safetensors"
    options = ("--set", "resize=80", "--set", "crop=64", "--set", "position_gate=no", "--device", "cpu")
    result = invoke("fit", category, "-o", model, *options, "--confidence", 0.9)
    assert result.exit_code == 0, result.stderr
    assert "4 good images can promise no less than 43.8 % with 90.0 % confidence." in result.stdout
    result = invoke("fit", category, "-o", model, *options, "--false-alarms", "2")
    assert (result.exit_code, result.stdout) == (1, "")
    result = invoke("fit", category, "-o", model, *options, "--calibrate", category / "train/good")
    assert result.exit_code == 1
    assert "fitted on this image" in result.stderr
