from __future__ import annotations

import json
import shutil
from pathlib import Path

from pni_fast import PNI

RESULTS = {"model.safetensors", "scores", "metrics.json", "report.html"}


def assert_shown(result, output, others=()):
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert Path(lines[-1]) == output / "report.html"
    assert any(line.startswith("image_auroc") for line in lines)
    assert {path.name for path in output.iterdir()} == RESULTS.union(others)
    assert json.loads((output / "metrics.json").read_text())["image_auroc"] == 1.0
    assert len((output / "scores" / "scores.csv").read_text().splitlines()) == 5
    assert len(list((output / "scores").rglob("*.npy"))) == 4


def test_demo_on_a_category_prints_the_metrics_and_last_the_report(invoke, category, tmp_path):
    output = tmp_path / "demo"
    assert_shown(invoke("demo", "--data", category, "--output", output, "--device", "cpu"), output)


def test_demo_builds_its_own_set_and_fits_on_it(invoke, category, model_file, tmp_path, monkeypatch):
    # The real set takes a minute, and `make demo` runs it; the fit was tested above.
    monkeypatch.setattr("pni_fast.demo.build_demo_set", lambda root: shutil.copytree(category, root / "set"))
    output = tmp_path / "demo"

    def fitted(data, target, **_):
        assert data == output / "data" / "set"
        return PNI.load(shutil.copy(model_file, target), device="cpu")

    monkeypatch.setattr("pni_fast.cli.demo.fit_model", fitted)
    assert_shown(invoke("demo", "--output", output, "--device", "cpu"), output, ["data"])


def test_data_that_is_no_category(refused, tmp_path):
    missing, output = tmp_path / "missing", tmp_path / "demo"
    assert refused("demo", "--data", missing, "-o", output).startswith(f"{missing}: no such folder")
    assert not output.exists()


def test_an_output_that_cannot_be_written(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert "cannot write" in refused("demo", "--quiet", "-o", file)
