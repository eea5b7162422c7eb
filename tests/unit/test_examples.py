"""Each script in examples/ runs as its own first lines say and does what they promise."""

import csv
import functools
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from pni_fast import greedy_coreset

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
TESTED = {
    "anomalib_patchcore.py",
    "coreset_of_a_memory_map.py",
    "fit_and_score.py",
    "scikit_learn_pipeline.py",
    "scores_in_a_frame.py",
}


@pytest.fixture
def example(starter):
    """Return a run of one example with arguments; what it printed."""

    def run(name, *arguments):
        found = starter.run(EXAMPLES / name, *arguments)
        assert found.returncode == 0, found.stderr
        return found.stdout

    return run


def test_every_example_is_tested_and_says_how_it_is_run():
    scripts = {path.name: path.read_text() for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == TESTED
    for name, text in scripts.items():
        assert f"python examples/{name}" in text.split('"""')[1]


def test_fit_and_score(example, category, tmp_path):
    printed = example(
        "fit_and_score.py", category / "train/good", category / "test", tmp_path / "part.safetensors"
    )
    scores = [float(line.split()[0]) for line in printed.splitlines()]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert printed.splitlines()[0].split()[1].startswith("stain/")


def test_scores_in_a_frame(example, category, model_file, tmp_path):
    pytest.importorskip("pandas", reason="pandas is not installed (it is in the test extra)")
    example("scores_in_a_frame.py", model_file, category / "test", tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"].split("/")[0] for row in rows] == ["stain", "stain", "good", "good"]
    assert float(rows[0]["times normal"]) > 1 > float(rows[-1]["area above normal"])


def test_coreset_of_a_memory_map(example, tmp_path):
    features = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    printed = example("coreset_of_a_memory_map.py", tmp_path / "features.npy", "0.02", tmp_path / "picks.npy")
    expected = greedy_coreset(features, 0.02)
    np.testing.assert_array_equal(np.load(tmp_path / "picks.npy"), expected.indices)
    assert printed.startswith("10 of 500 rows; ")


def test_scikit_learn_pipeline(example):
    accuracies = [float(line.split()[-1]) for line in example("scikit_learn_pipeline.py").splitlines()]
    assert len(accuracies) == 3
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > 0.9


@pytest.mark.filterwarnings("ignore")
def test_anomalib_patchcore(category, tmp_path, monkeypatch, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("anomalib", reason="anomalib is not installed (it is in the bench extra)")
        from anomalib import models

    # No hub in a test: the same script with an untrained backbone.
    monkeypatch.setattr(models, "Patchcore", functools.partial(models.Patchcore, pre_trained=False))
    monkeypatch.setattr(sys, "argv", ["anomalib_patchcore.py", str(category)])
    monkeypatch.chdir(tmp_path)
    import pni_fast.anomalib

    try:
        runpy.run_path(str(EXAMPLES / "anomalib_patchcore.py"), run_name="__main__")
    finally:
        pni_fast.anomalib.uninstall()
    assert "image_AUROC" in capsys.readouterr().out
