"""Sizes, tiles and maps of the photograph's size, as the command takes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def strips(tmp_path_factory):
    """Return a category of wide pictures, with a defect at the rim of one."""
    root = tmp_path_factory.mktemp("data") / "strips"
    rng = np.random.default_rng(0)
    for folder in ("train/good", "test/good", "test/rim", "ground_truth/rim"):
        (root / folder).mkdir(parents=True)
    for index in range(6):
        part = "train/good" if index < 4 else "test/good" if index < 5 else "test/rim"
        pixels = 110 + 40 * np.sin(np.arange(300) / 5)[None, :, None] + rng.normal(0, 6, (100, 300, 3))
        if part == "test/rim":
            pixels[40:52, 290:] = (250, 40, 40)
            truth = np.zeros((100, 300), np.uint8)
            truth[40:52, 290:] = 255
            Image.fromarray(truth).save(root / "ground_truth/rim/0_mask.png")
        name = f"{index if index < 4 else 0}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / part / name)
    return root


def test_tiles_maps_and_metrics_at_the_original_size(invoke, strips, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    options = ("--size", "192x64", "--tile", "128", "--overlap", "64", "--device", "cpu")
    done = invoke("fit", strips, "-o", model, *options, "--coreset-ratio", "0.1")
    assert done.exit_code == 0, done.stderr
    done = invoke("info", model, "--json")
    said = json.loads(done.stdout)["config"]
    assert (said["size"], said["tile"], said["overlap"]) == ("192x64", 128, 64)
    done = invoke("score", model, strips / "test", "-o", out, "--maps", "--maps-size", "original")
    assert done.exit_code == 0, done.stderr
    assert np.load(out / "maps/good/0.npy").shape == (100, 300)
    rows = (out / "regions.csv").read_text().splitlines()
    assert len(rows) == 2
    x, y, width, height = map(int, rows[1].split(",")[1:5])
    assert x + width == 300
    assert y <= 46 <= y + height
    found = {}
    for size in ("inspected", "original"):
        done = invoke("evaluate", model, strips, "-o", out, "--metrics-size", size, "--json")
        assert done.exit_code == 0, done.stderr
        found[size] = json.loads((out / "metrics.json").read_text())
        assert found[size]["metrics_size"] == size
    page = (out / "report.html").read_text()
    assert "photographs' own size" in page.replace("&#x27;", "'")
    assert found["original"]["image_auroc"] == found["inspected"]["image_auroc"] == 1
    assert found["original"]["pixel_auroc"] > 0.9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--size", "100x60"), "got 100x60; the nearest is 96x64"),
        (("--size", "96", "--set", "crop=64"), "size 96 leaves no meaning to crop"),
        (("--size", "96", "--tile", "64", "--overlap", "64"), "overlap must be below the tile's 64, got 64"),
        (("--channels", "0,1"), "channels must be one number or three"),
    ],
)
def test_what_cannot_be_is_refused(refused, strips, tmp_path, options, told):
    assert told in refused("fit", strips, "-o", tmp_path / "model", "--device", "cpu", *options)


def test_a_size_is_given_once(invoke, strips, tmp_path):
    done = invoke("fit", strips, "-o", tmp_path / "model", "--size", "auto", "--set", "size=96")
    assert done.exit_code == 2
    assert "size is given twice: --size and --set size" in done.stderr


def test_maps_of_a_size_need_maps(invoke, model_file, category, tmp_path):
    done = invoke("score", model_file, category, "-o", tmp_path / "out", "--maps-size", "original")
    assert done.exit_code == 2
    assert "--maps-size original needs --maps" in done.stderr
