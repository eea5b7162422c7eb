"""Files that 0.1.0 wrote, formats 1 and 2, load and give the scores they gave.

They were fitted by 0.1.0 on `pictures.texture(0)` to `texture(5)`, with random weights of a very small
network; `expected.json` is what 0.1.0 itself said after loading them. Arrays are compared exactly; scores to
1e-5, as a network's last bit differs between processors.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import texture
from pni_fast import PNI

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
