"""The full-size bench at its smallest, on the CPU."""

import json

import pytest
import torch

full_size = pytest.importorskip("full_size", reason="the benches are not part of this checkout")

TINY = ["mlp.width=16", "mlp.layers=3", "mlp.epochs=1", "mlp.batch=64", "resize=80", "crop=64"]


def test_every_stage_is_timed_and_written(tmp_path, capsys):
    changes = [part for text in [*TINY, "dimension=32", "coreset_ratio=0.1"] for part in ("--set", text)]
    sizes = ["--images", "3", "--test", "5", "--batch", "2", "--side", "96"]
    arguments = ["--device", "cpu", "--random-weights", "--backbone", "resnet18", "--output", str(tmp_path)]
    assert full_size.main([*arguments, *sizes, *changes]) == 0
    record = json.loads((tmp_path / "full-size.json").read_text())
    assert list(record["fit"]["stages"]) == [
        *("read, decode and backbone", "coreset and labels", "histogram", "MLP training"),
        "range of normal maps",
    ]
    assert sum(record["fit"]["stages"].values()) <= record["fit"]["seconds"]
    assert set(record["scoring"]["ms an image"]) == {
        *("decode and crop", "copy", "backbone", "MLP, thresholds", "max_likelihood", "map")
    }
    assert (record["images"], record["scored"], record["peak GPU bytes"]) == (3, 5, None)
    shown = capsys.readouterr().out
    assert "| fit of 3 images |" in shown
    assert "≥ 40" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["full-size.json"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path, capsys):
    assert full_size.main(["--output", str(tmp_path / "out")]) == 1
    assert "torch sees no CUDA GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
