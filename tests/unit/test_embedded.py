"""The embedded backbone without torch is the one that torch makes."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from embedded_files import fresh
from pni_fast import PNI
from pni_fast.errors import PniError
from pni_fast.features.backbones import build_extractor
from pni_fast.features.embedded import (
    ANSWER,
    CROP,
    DIMENSION,
    EVERY,
    GRAPH,
    NAMES,
    PATCH,
    check_answer,
    embedded_extractor,
    graph_for,
    is_embedded,
    question,
)
from pni_fast.features.engines.export import extractor_graph
from pni_fast.features.weights import load_weights
from pni_fast.model.size import most_model_bytes
from pni_fast.presets import preset
from pni_fast.runtime.run import Run


@pytest.fixture(scope="module")
def extractor():
    made = build_extractor("tf_efficientnet_lite0", PATCH, DIMENSION)
    load_weights(made.backbone, "tf_efficientnet_lite0", None)
    return made


def test_the_files_are_what_torch_gives():
    graph, names, answer = fresh()
    hint = "run `python tests/embedded_files.py`"
    assert GRAPH.read_bytes() == graph, hint
    assert NAMES.read_text() == names, hint
    np.testing.assert_allclose(
        np.load(ANSWER), answer, rtol=0, atol=1e-5 * np.abs(answer).max(), err_msg=hint
    )


def test_its_graph_for_another_size_is_what_torch_gives(extractor):
    for shape in ((64, 96), (16, 16)):  # the second is the smallest there is
        assert graph_for(shape) == extractor_graph(extractor, *shape)
        assert embedded_extractor(shape).opened(Run(engine="openvino")) is not None
    image = question()[:, 100:212, 30:206]
    found = embedded_extractor((112, 176)).extraction(Run(engine="openvino"))(image)
    expected = extractor(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_its_tensors_are_the_backbones(extractor):
    found, expected = embedded_extractor().tensors(), extractor.backbone.state_dict()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)
    built = embedded_extractor().module().backbone.state_dict()
    assert all(torch.equal(built[name], tensor) for name, tensor in expected.items())


def test_which_settings_it_serves(tmp_path):
    assert is_embedded(preset("lite"), None)
    assert is_embedded(preset("lite", dimension=152), None)
    assert not is_embedded(preset("lite", dimension=100), None)
    assert is_embedded(preset("lite", crop=64, resize=80), None)
    assert is_embedded(preset("lite", size="160x96"), None)
    assert not is_embedded(preset("lite", crop=72, resize=80), None)
    assert not is_embedded(preset("lite", patch=5), None)
    assert not is_embedded(preset("lite", backbone="resnet18"), None)
    assert not is_embedded(preset("lite"), tmp_path / "weights.pth")


def test_the_known_answer_refuses_an_engine_that_is_a_little_off(extractor):
    def exact(crops):
        return extractor(torch.from_numpy(crops)).numpy()

    check_answer(exact, "openvino")
    with pytest.raises(PniError, match=r"engine openvino gives features that differ .* by 1\.0e-03 of the"):
        check_answer(lambda crops: exact(crops) * np.float32(1.001), "openvino")
    with pytest.raises(PniError, match="differ"):
        check_answer(lambda crops: np.full_like(exact(crops), np.nan), "openvino")
    assert np.load(ANSWER).shape == (-(-64 // EVERY),) * 2 + (DIMENSION,)
    assert question().shape == (1, CROP, CROP, 3)


FIT = """
import sys
import numpy as np
from pni_fast import PNI
images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
PNI(coreset_ratio=0.001, device="cpu").fit(images).save(sys.argv[1])
assert "torch" not in sys.modules and "timm" not in sys.modules
"""


def test_a_fit_of_lite_imports_no_torch_and_gives_the_same_model(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-c", FIT, tmp_path / "light"], check=True, timeout=120)
    monkeypatch.setattr("pni_fast.model.extraction.is_embedded", lambda *_: False)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    PNI(coreset_ratio=0.001, device="cpu").fit(images).save(tmp_path / "torch")
    assert (tmp_path / "light").read_bytes() == (tmp_path / "torch").read_bytes()


def test_its_size_is_known_without_torch_too(monkeypatch):
    light = most_model_bytes(preset("lite"), 48)
    monkeypatch.setattr("pni_fast.model.size.is_embedded", lambda *_: False)
    assert most_model_bytes(preset("lite"), 48) == light
