from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

RESULTS = {"model.safetensors", "scores", "metrics.json", "report.html"}


@pytest.mark.parametrize("own_data", [True, False])
def test_demo_prints_the_metrics_and_last_the_report(invoke, category, tmp_path, monkeypatch, own_data):
    # The real set takes a minute; `make demo` runs it.
    monkeypatch.setattr("pni_fast.demo.build_demo_set", lambda root: shutil.copytree(category, root / "set"))
    output = tmp_path / "demo"
    options = ("--data", category) if own_data else ()
    result = invoke("demo", *options, "--output", output, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert Path(lines[-1]) == output / "report.html"
    assert any(line.startswith("image_auroc") for line in lines)
    assert {path.name for path in output.iterdir()} == (RESULTS if own_data else RESULTS | {"data"})
    assert json.loads((output / "metrics.json").read_text())["image_auroc"] == 1.0
    assert len((output / "scores" / "scores.csv").read_text().splitlines()) == 5
    assert len(list((output / "scores").rglob("*.npy"))) == 4


def test_data_that_is_no_category(refused, tmp_path):
    missing, output = tmp_path / "missing", tmp_path / "demo"
    assert refused("demo", "--data", missing, "-o", output).startswith(f"{missing}: no such folder")
    assert not output.exists()


def test_an_output_that_cannot_be_written(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert "cannot write" in refused("demo", "--quiet", "-o", file)
