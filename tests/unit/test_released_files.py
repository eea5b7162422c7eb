"""Files that 0.1.0 wrote, formats 1 and 2, load and give the scores they gave.

They were fitted by 0.1.0 on `pictures.texture(0)` to `texture(5)`, with random weights of a very small
network; `expected.json` is what 0.1.0 itself said after loading them. Arrays are compared exactly; scores to
1e-5, as a network's last bit differs between processors.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from pictures import texture
from pni_fast import PNI
from pni_fast.features import families
from pni_fast.features.backbones import build_backbone

FILES = Path(__file__).resolve().parent.parent / "files"
EXPECTED = json.loads((FILES / "expected.json").read_text())


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_released_file_gives_the_scores_it_gave(name):
    expected = EXPECTED[name]
    assert expected["version"] == "0.1.0"
    model = PNI.load(FILES / f"{name}.safetensors", device="cpu")
    summary = model.summary()
    assert summary["parts"] == expected["parts"]
    assert summary.get("members", [summary])[0]["position"] == expected["position"]
    assert list(model.normalization_) == expected["normalization"]
    for number, member in enumerate(model.members_):
        assert member.scale_ == expected["scale"][number]
        assert float(member.coreset_.astype(np.float64).sum()) == expected["coreset_sum"][number]
        position = member.position_
        total = None if position is None else float(position.astype(np.float64).sum())
        assert total == expected["position_sum"][number]
    scores = model.score_samples([texture(50), texture(51, defect=True)])
    np.testing.assert_allclose(scores, expected["scores"], rtol=1e-5)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_released_file_written_again_is_the_same_model(name, tmp_path):
    model = PNI.load(FILES / f"{name}.safetensors", device="cpu")
    model.save(tmp_path / "again.safetensors")
    again = PNI.load(tmp_path / "again.safetensors", device="cpu")
    assert again.config == model.config
    assert again.summary() == model.summary()
    probe = texture(51, defect=True)
    assert again.score_samples(probe).tobytes() == model.score_samples(probe).tobytes()


def test_a_file_with_stages_behind_the_last_level_is_the_same_model(tmp_path, monkeypatch):
    state = build_backbone("mobilenetv3_small_050", whole=True).state_dict()
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    settings = {"backbone": "mobilenetv3_small_050", "weights": tmp_path / "weights.safetensors"}
    settings |= {"size": "64", "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"}
    images, probes = [texture(seed) for seed in range(4)], [texture(50), texture(51, defect=True)]
    short = PNI(**settings).fit(images)
    with monkeypatch.context() as older:
        older.setattr(families, "_end_with_the_last_level", lambda _: None)
        whole = PNI(**settings).fit(images)
    assert whole.fitted.extractor.graph is not None
    file = tmp_path / "whole.safetensors"
    whole.save(file)
    short.save(tmp_path / "short.safetensors")
    assert file.stat().st_size > (tmp_path / "short.safetensors").stat().st_size + 500_000
    np.testing.assert_array_equal(whole.coreset_, short.coreset_)
    for engine in ("auto", "torch"):
        expected = PNI.load(tmp_path / "short.safetensors", device="cpu", engine=engine).score_samples(probes)
        model = PNI.load(file, device="cpu", engine=engine)
        assert model.score_samples(probes).tobytes() == expected.tobytes()
        model.save(tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()
