from __future__ import annotations

import csv
import json
import shutil
import sys

import pytest
from pni_fast.cli import benchmark as command
from pni_fast.cli.options import PRESETS
from pni_fast.data import DATASETS
from pni_fast.presets import PRESETS as KNOWN_PRESETS
from pni_fast.runtime.files import locked


@pytest.fixture
def tiny(monkeypatch):
    """Let the command's own call of the library work on 64-pixel crops with no trained part."""
    import pni_fast.benchmark as library

    settings = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "position": False, "context.used": False}
    whole = library.run_benchmark

    def small(*arguments, **named):
        return whole(*arguments, **{**named, "settings": {**settings, **named["settings"]}})

    monkeypatch.setattr(library, "run_benchmark", small)


@pytest.fixture
def data(category, tmp_path):
    shutil.copytree(category, tmp_path / "set" / "tile")
    shutil.copytree(category, tmp_path / "set" / "wood")
    return tmp_path / "set"


@pytest.mark.usefixtures("tiny")
def test_tables_then_a_second_run_that_has_nothing_to_do(invoke, data, tmp_path):
    arguments = ("benchmark", data, "--dataset", "mvtec", "-o", tmp_path / "out", "--device", "cpu")
    first = invoke(*arguments)
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith("2 results, 2 of them new, in ")
    assert first.stdout.rstrip().endswith(f"Tables: {tmp_path / 'out' / 'benchmark.md'}")
    assert "lite wood neither: score" in first.stderr
    assert "PNI (paper)" in (tmp_path / "out" / "benchmark.md").read_text(encoding="utf-8")
    again = invoke(*arguments)
    assert again.stdout.startswith("2 results, 0 of them new, in ")


@pytest.mark.usefixtures("tiny")
def test_a_broken_category_ends_in_status_1_after_the_others(invoke, data, tmp_path):
    broken = data / "tile" / "test" / "good" / "000.png"
    broken.write_text("not an image")
    output = tmp_path / "out"
    result = invoke("benchmark", data, "--dataset", "folder", "-o", output, "-q", "--json", "--device", "cpu")
    assert result.exit_code == 1
    failed, error = result.stderr.splitlines()
    assert failed.startswith(f"Failed: lite tile: {broken}: ")
    assert error == f"Error: 1 category could not be measured; the others are in {output / 'benchmark.md'}"
    record = json.loads(result.stdout)
    assert [(item["category"], item["image_auroc"]) for item in record["results"]] == [("wood", 1.0)]
    assert [item["category"] for item in record["failures"]] == ["tile"]
    assert record["measured"] == 1
    assert record["tables"] == str(output / "benchmark.json")


@pytest.mark.usefixtures("tiny")
def test_categories_by_comma_or_by_repetition(invoke, data, tmp_path):
    shutil.copytree(data / "wood", data / "grid")
    result = invoke(
        *("benchmark", data, "--dataset", "mvtec", "-o", tmp_path / "out", "-q", "--device", "cpu"),
        *("--categories", "grid,tile", "--categories", "grid"),
    )
    assert (result.exit_code, result.output) == (0, "")
    assert sorted(path.parent.name for path in (tmp_path / "out").glob("runs/*/*/*.json")) == ["grid", "tile"]


@pytest.mark.usefixtures("tiny")
def test_an_ablation_has_a_row_for_position_context_both_and_refinement(invoke, data, tmp_path):
    refiner = [f"--set=refiner.{text}" for text in ("iterations=2", "side=32", "bank=4", "batch=2")]
    result = invoke(
        *("benchmark", data, "--dataset", "folder", "--presets", "lite", "--ablation", "--json", "-q"),
        *("-o", tmp_path / "out", "--categories", "wood", "--device", "cpu", *refiner),
    )
    assert result.exit_code == 0, result.stderr
    variants = ["neither", "P", "C", "PC", "PCR"]
    assert {item["variant"] for item in json.loads(result.stdout)["results"]} == set(variants)
    rows = csv.DictReader((tmp_path / "out" / "benchmark.csv").read_text().splitlines())
    labels = list(dict.fromkeys(row["row"] for row in rows if row["table"] == "Table 3"))
    assert labels == ["lite PatchCore (neither)", *(f"lite {name}" for name in variants[1:])]


def test_the_whole_command_at_full_size(starter, data, tmp_path):
    output = tmp_path / "out"
    result = starter.run(
        *(
            "-m",
            "pni_fast.cli",
            "benchmark",
            data,
            "--dataset",
            "mvtec",
            "-o",
            output,
            "--categories",
            "tile",
        ),
        *("--device", "cpu", "--threads", 2, "--seed", 3, "--json", "-q"),
    )
    assert result.returncode == 0, result.stderr
    assert [(item["category"], item["variant"]) for item in json.loads(result.stdout)["results"]] == [
        ("tile", "PC")
    ]
    settings = json.loads((output / "runs" / "lite" / "settings.json").read_text())
    assert (settings["config"]["seed"], settings["config"]["crop"]) == (3, 480)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--categories", "screw"), "category must be one of tile, wood, got screw"),
        (("--weights", "none.pth"), "none.pth: cannot be read: No such file or directory"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(refused, data, tmp_path, options, message):
    output = tmp_path / "out"
    assert message in refused("benchmark", data, "--dataset", "mvtec", "-o", output, *options)
    assert not output.exists()


def test_a_missing_root_and_an_output_that_is_a_file(refused, data, tmp_path):
    line = refused("benchmark", tmp_path / "no", "--dataset", "mvtec", "-o", tmp_path / "out")
    assert line == f"{tmp_path / 'no'}: no such folder"
    file = tmp_path / "file"
    file.write_text("x")
    assert "cannot write" in refused("benchmark", data, "--dataset", "mvtec", "-o", file)


@pytest.mark.usefixtures("tiny")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_second_writer_is_refused_and_leaves_nothing(refused, data, tmp_path, entries):
    output = tmp_path / "out"
    output.mkdir()
    with locked(output):
        line = refused("benchmark", data, "--dataset", "mvtec", "-o", output, "-q", "--device", "cpu")
    assert line == f"{output}: another pni-fast is writing there; wait or give another folder"
    assert entries(output) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--presets", "lite,large"), f"must be among {', '.join(PRESETS)}, got large"),
        (("--presets", ","), "must name at least one preset, got none"),
        (("--dataset", "imagenet"), "'imagenet' is not one of"),
    ],
)
def test_wrong_usage(invoke, tmp_path, options, message):
    arguments = ["benchmark", tmp_path, "-o", tmp_path / "out", *options]
    if "--dataset" not in options:
        arguments += ["--dataset", "folder"]
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_names_in_the_help_are_the_librarys():
    assert set(command.DATASETS) == set(DATASETS)
    assert set(PRESETS) <= set(KNOWN_PRESETS)


@pytest.mark.usefixtures("tiny")
def test_settings_reach_every_model_of_the_run(invoke, data, tmp_path):
    arguments = ("benchmark", data, "--dataset", "mvtec", "-o", tmp_path / "out", "-q", "--device", "cpu")
    result = invoke(*arguments, "--categories", "wood", "--set", "sigma=3", "--set", "mlp.dropout=0.5")
    assert result.exit_code == 0, result.stderr
    held = json.loads((tmp_path / "out" / "runs" / "lite" / "settings.json").read_text())["config"]
    assert (held["sigma"], held["mlp"]["dropout"]) == (3.0, 0.5)


def test_a_wrong_setting_is_refused_before_the_work(invoke, refused, data, tmp_path):
    arguments = ("benchmark", data, "--dataset", "mvtec", "-o", tmp_path / "out", "--set")
    assert refused(*arguments, "mlp.dropout=2") == "mlp.dropout must be at least 0 and below 1, got 2.0"
    result = invoke(*arguments, "mlp.droput=0.5")
    assert result.exit_code == 2
    assert "unknown setting 'mlp.droput'" in result.stderr
    assert not (tmp_path / "out").exists()
    # What has an option in `fit` and none here is a setting like any other.
    assert refused(*arguments, "coreset_ratio=2") == "coreset_ratio must be in (0, 1], got 2.0"
    for text, option in {"preset=lite": "--presets", "seed=1": "--seed"}.items():
        result = invoke(*arguments, text)
        assert result.exit_code == 2
        assert f"{text.partition('=')[0]} has an option of its own: {option}" in " ".join(
            result.stderr.split()
        )
