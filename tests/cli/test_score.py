from __future__ import annotations

import csv
import json
import sys

import numpy as np
from PIL import Image
from pni_fast.cli.record import RECORD
from pni_fast.runtime.files import RESULTS_MARK


def rows(folder):
    with (folder / "scores.csv").open(newline="") as stream:
        table = list(csv.reader(stream))
    assert table[0] == ["image", "score", "p_value", "verdict"]
    return {name: float(value) for name, value, *_ in table[1:]}


def test_scores_maps_and_overlays_keep_relative_paths(invoke, model_file, category, tmp_path, entries):
    output = tmp_path / "results"
    result = invoke(
        "score", model_file, category / "test", "-o", output, "--maps", "--overlays", "--device", "cpu"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Scored 4 images")
    names = ["good/000", "good/001", "stain/000", "stain/001"]
    scores = rows(output)
    assert list(scores) == [f"{name}.png" for name in names]
    assert max(scores["good/000.png"], scores["good/001.png"]) < min(
        scores["stain/000.png"], scores["stain/001.png"]
    )
    marks = [RESULTS_MARK, f"maps/{RESULTS_MARK}", f"overlays/{RESULTS_MARK}", RECORD]
    assert entries(output) == sorted(
        ["scores.csv", "regions.csv", "summary.json", "maps", "overlays", *marks]
        + [f"{kind}/{folder}" for kind in ("maps", "overlays") for folder in ("good", "stain")]
        + [f"maps/{name}.npy" for name in names]
        + [f"overlays/{name}.png" for name in names]
    )
    for name in names:
        values = np.load(output / "maps" / f"{name}.npy", allow_pickle=False)
        assert values.dtype == np.float32
        assert values.ndim == 2
        assert np.float32(scores[f"{name}.png"]) == values.max()
        with Image.open(output / "overlays" / f"{name}.png") as overlay:
            assert overlay.size == values.shape[::-1]
    stain = np.load(output / "maps" / "stain" / "000.npy")
    row, column = np.unravel_index(stain.argmax(), stain.shape)
    assert 0.3 < row / stain.shape[0] < 0.7
    assert 0.3 < column / stain.shape[1] < 0.7


def test_two_runs_and_two_thread_counts_give_the_same_bytes(invoke, model_file, category, tmp_path):
    tables = []
    for name, threads in (("a", 1), ("b", 2), ("c", 2)):
        options = ("-o", tmp_path / name, "--threads", threads, "-q", "--device", "cpu")
        assert invoke("score", model_file, category / "test", *options).exit_code == 0
        tables.append((tmp_path / name / "scores.csv").read_bytes())
    assert tables[0] == tables[1] == tables[2]


def test_files_and_folders_mix_and_json_says_where_the_results_are(invoke, model_file, category, tmp_path):
    output = tmp_path / "results"
    result = invoke(
        *("score", model_file, category / "test" / "good" / "001.png", category / "test" / "stain"),
        *("-o", output, "--json", "--quiet", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert record["images"] == 3
    assert record["scores"] == str(output / "scores.csv")
    assert (record["maps"], record["overlays"], record["skipped"]) == (None, None, [])
    assert len(rows(output)) == 3


def test_images_that_differ_in_their_suffix_alone_keep_it(invoke, model_file, tmp_path, entries):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("0.png", "0.bmp"):
        Image.new("RGB", (64, 64), "grey").save(photos / name)
    output = tmp_path / "results"
    result = invoke(
        "score", model_file, photos, "-o", output, "--maps", "--overlays", "-q", "--device", "cpu"
    )
    assert result.exit_code == 0, result.stderr
    assert entries(output / "maps") == [RESULTS_MARK, "0.bmp.npy", "0.png.npy"]
    assert entries(output / "overlays") == [RESULTS_MARK, "0.bmp.png", "0.png.png"]


def test_results_inside_the_scored_folder_are_not_scored_next_time(invoke, model_file, category):
    folder = category / "test" / "good"
    for _ in range(2):
        result = invoke(
            "score", model_file, folder, "-o", folder / "out", "--overlays", "-q", "--device", "cpu"
        )
        assert result.exit_code == 0, result.stderr
        assert list(rows(folder / "out")) == ["000.png", "001.png"]


def test_a_broken_image_is_named_and_nothing_is_written(refused, model_file, category, tmp_path):
    broken = category / "test" / "stain" / "000.png"
    broken.write_bytes(broken.read_bytes()[:200])
    output = tmp_path / "results"
    line = refused("score", model_file, category / "test", "-o", output, "--maps", "--device", "cpu")
    assert line.startswith(f"{broken}: ")
    assert not output.exists()


def test_skip_broken_goes_on_and_lists_them(invoke, model_file, category, tmp_path):
    test = category / "test"
    (test / "good" / "000.png").write_text("not an image")
    (test / "stain" / "001.png").write_bytes(b"")
    options = ("-o", tmp_path / "out", "--skip-broken", "-q", "--json", "--device", "cpu")
    result = invoke("score", model_file, test, *options)
    assert result.exit_code == 0, result.stderr
    assert list(rows(tmp_path / "out")) == ["good/001.png", "stain/000.png"]
    assert [item["image"] for item in json.loads(result.stdout)["skipped"]] == [
        "good/000.png",
        "stain/001.png",
    ]
    lines = result.stderr.splitlines()
    assert lines[0] == "Skipped 2 broken files:"
    assert lines[1].startswith(f"  {test / 'good' / '000.png'}: ")
    assert lines[2].startswith(f"  {test / 'stain' / '001.png'}: ")


def test_nothing_but_broken_images_is_an_error(refused, model_file, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_text("not an image")
    output = tmp_path / "results"
    assert str(photo) in refused("score", model_file, photo, "-o", output, "--skip-broken", "--device", "cpu")
    assert not output.exists()


def test_missing_inputs_and_folders_without_images(refused, model_file, category, tmp_path):
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    output = tmp_path / "results"
    assert refused("score", model_file, missing, "-o", output).startswith(f"{missing}: no such ")
    assert refused("score", model_file, empty, "-o", output).startswith(f"{empty}: must hold images")
    model = tmp_path / "none.safetensors"
    assert refused("score", model, category / "test", "-o", output).startswith(f"{model}: ")
    assert not output.exists()


def test_a_missing_input_is_told_before_the_library_is_loaded(refused, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pni_fast.model.pni", None)  # an import of it fails
    missing = tmp_path / "missing"
    assert refused("score", "m", missing, "-o", tmp_path / "out").startswith(f"{missing}: no such ")
    file = tmp_path / "file.png"
    Image.new("RGB", (8, 8)).save(file)
    assert refused("score", "m", file, "-o", file).startswith(f"{file}: cannot write: it is a file")


def test_an_output_that_cannot_be_written(refused, model_file, category, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    for output in (file, file / "below"):
        line = refused("score", model_file, category / "test", "-o", output, "--device", "cpu")
        assert line.startswith(f"{output}: cannot write")


def test_another_engine_than_the_fits_is_said(invoke, model_file, category, tmp_path):
    photo = sorted((category / "test").rglob("*.png"))[0]
    same = invoke("score", model_file, photo, "-o", tmp_path / "same", "--device", "cpu")
    assert "Fitted by" not in same.stderr
    torch = ("--engine", "torch", "--device", "cpu")
    other = invoke("score", model_file, photo, "-o", tmp_path / "other", *torch)
    assert other.stderr.count("Fitted by openvino") + other.stderr.count("Fitted by onnxruntime") == 1
    assert "scored by torch" in other.stderr
    quiet = invoke("score", model_file, photo, "-o", tmp_path / "quiet", *torch, "--quiet")
    assert quiet.stderr == ""
    scores = [(tmp_path / name / "scores.csv").read_text().split(",")[-3] for name in ("same", "other")]
    assert abs(float(scores[0]) - float(scores[1])) < 1e-4 * float(scores[0])
