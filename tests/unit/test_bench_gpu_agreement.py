"""The bench of a GPU's agreement, the GPU being this CPU."""

import pytest
import torch

gpu_agreement = pytest.importorskip("gpu_agreement", reason="the benches are not part of this checkout")


def test_each_way_is_held_against_the_first(category, capsys):
    sizes = ["--set", "resize=80", "--set", "crop=64", "--set", "coreset_ratio=0.1"]
    assert gpu_agreement.main([str(category), "--gpu", "cpu", *sizes]) == 0
    shown = capsys.readouterr().out
    rows = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("| ")][2:]
    ways = ["CPU", "GPU fp32", "GPU auto", "GPU bf16"]
    assert [row[:2] for row in rows] == [[fitted, way] for fitted in ("CPU", "GPU auto") for way in ways]
    assert [float(cell) for cell in rows[0][2:5]] == [0, 0, 0]
    assert 0 < float(rows[1][2]) < 1e-4 < float(rows[3][2]) < 1  # another engine, another precision
    assert rows[0][5].startswith("0 of ")
    assert shown.count("the same file") == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(category, capsys):
    with pytest.raises(SystemExit, match="2"):
        gpu_agreement.main([str(category)])
    assert "torch sees no CUDA GPU" in capsys.readouterr().err
