from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

METRICS = ["image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro"]


def test_metrics_and_report(invoke, model_file, category, tmp_path, entries):
    output = tmp_path / "new" / "results"
    result = invoke("evaluate", model_file, category, "-o", output, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert entries(output) == ["metrics.json", "report.html"]
    metrics = json.loads((output / "metrics.json").read_text())
    assert all(name in metrics for name in METRICS)
    assert metrics["image_auroc"] == 1.0
    assert metrics["pixel_auroc"] > 0.9
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Threshold ")
    assert lines[0].endswith("(promised at most 20.0 %)")
    assert lines[1:3] == [
        "  false alarms 0 of 2 good images (0.0 %)",
        "  missed       0 of 2 defective images (0.0 %)",
    ]
    assert metrics["own_threshold"]["kinds"] == {"stain": {"found": 2, "images": 2}}
    assert [line.split()[0] for line in lines[3:8]] == METRICS
    assert lines[8] == f"Report: {output / 'report.html'}"
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert "stain/000.png" in page
    assert "At the model's own threshold of" in page
    assert "a look at the answers" in page
    assert 'src="http' not in page


def test_json_and_quiet(invoke, model_file, category, tmp_path):
    output = tmp_path / "results"
    result = invoke("evaluate", model_file, category, "-o", output, "--json", "--quiet", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    record = json.loads(result.stdout)
    written = json.loads((output / "metrics.json").read_text())
    assert {name: record[name] for name in METRICS} == {name: written[name] for name in METRICS}
    assert record["report"] == str(output / "report.html")


def test_a_category_without_a_test_folder(refused, model_file, category, tmp_path):
    shutil.rmtree(category / "test")
    output = tmp_path / "results"
    line = refused("evaluate", model_file, category, "-o", output)
    assert line.startswith(f"{category}: ")
    assert "no test folder" in line
    assert not output.exists()


def test_a_missing_category(refused, model_file, tmp_path):
    missing = tmp_path / "missing"
    assert refused("evaluate", model_file, missing, "-o", tmp_path / "out").startswith(
        f"{missing}: no such folder"
    )


def test_a_mask_of_another_size_is_named_with_both_sizes(refused, model_file, category, tmp_path):
    mask = category / "ground_truth" / "stain" / "001_mask.png"
    Image.new("L", (64, 96), 255).save(mask)
    output = tmp_path / "results"
    line = refused("evaluate", model_file, category, "-o", output, "--device", "cpu")
    assert line.startswith(f"{mask}: ")
    assert "96" in line
    assert "64" in line
    assert not output.exists()


def test_a_broken_test_image_is_named(refused, model_file, category, tmp_path):
    broken = category / "test" / "good" / "000.png"
    broken.write_text("not an image")
    output = tmp_path / "results"
    line = refused("evaluate", model_file, category, "-o", output, "--device", "cpu")
    assert line.startswith(f"{broken}: ")
    assert not output.exists()


def test_an_output_that_cannot_be_written(refused, model_file, category, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    line = refused("evaluate", model_file, category, "-o", file, "--device", "cpu")
    assert line.startswith(f"{file}: cannot write")


def test_missing_masks_are_said_after_the_figures_and_in_the_json(invoke, model_file, category, tmp_path):
    (category / "ground_truth" / "stain" / "001_mask.png").rename(
        category / "ground_truth" / "stain" / "x.png"
    )
    notes = [
        "1 defective image without a mask left out of the pixel metrics.",
        "1 mask file of no test image left out: the first is ground_truth/stain/x.png.",
    ]
    shown = invoke("evaluate", model_file, category, "-o", tmp_path / "a", "--device", "cpu")
    assert shown.stdout.splitlines()[8:10] == [f"Note: {note}" for note in notes]
    told = invoke("evaluate", model_file, category, "-o", tmp_path / "b", "--json", "--device", "cpu")
    assert json.loads(told.stdout)["notes"] == notes
    assert json.loads((tmp_path / "b" / "metrics.json").read_text())["notes"] == notes


@pytest.mark.filterwarnings("ignore:.*another aspect ratio")
def test_a_tiff_turned_by_its_exif_and_an_upright_mask(invoke, model_file, category, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stain = category / "test" / "stain"
    Image.open(stain / "001.png").crop((0, 0, 96, 64)).save(stain / "001.tif", exif=exif)
    (stain / "001.png").unlink()
    Image.new("L", (64, 96), 255).save(category / "ground_truth" / "stain" / "001_mask.png")
    result = invoke("evaluate", model_file, category, "-o", tmp_path / "a", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
