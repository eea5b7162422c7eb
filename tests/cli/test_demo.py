from __future__ import annotations

import json
from pathlib import Path

RESULTS = {"model.safetensors", "scores", "metrics.json", "report.html"}


def test_demo_on_a_category_prints_metrics_and_last_the_report(invoke, category, tmp_path):
    output = tmp_path / "demo"
    result = invoke("demo", "--data", category, "--output", output, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert Path(lines[-1]) == output / "report.html"
    assert any(line.startswith("image_auroc") for line in lines)
    assert {path.name for path in output.iterdir()} == RESULTS
    assert json.loads((output / "metrics.json").read_text())["image_auroc"] == 1.0
    assert len((output / "scores" / "scores.csv").read_text().splitlines()) == 5
    assert len(list((output / "scores").rglob("*.npy"))) == 4


def test_data_that_is_no_category(refused, tmp_path):
    missing = tmp_path / "missing"
    assert refused("demo", "--data", missing, "-o", tmp_path / "demo").startswith(
        f"{missing}: no such folder"
    )
    assert not (tmp_path / "demo").exists()


def test_the_built_set_is_whole_and_kept(tmp_path):
    from pni_fast.cli.demo import build_data
    from pni_fast.data import open_category

    target = tmp_path / "demo" / "data"
    built = build_data(target)
    category = open_category(built)
    assert category.train
    assert {sample.defect is None for sample in category.test} == {True, False}
    assert all(sample.mask for sample in category.test if sample.defect)
    stamps = [path.stat().st_mtime_ns for path in category.train]
    assert build_data(target) == built
    assert [path.stat().st_mtime_ns for path in open_category(built).train] == stamps
    assert not list(target.parent.rglob(".*"))
