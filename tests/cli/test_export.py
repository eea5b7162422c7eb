"""`pni-fast export`: what is written gives our scores in another runtime, or nothing is written."""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from model_files import BOTH, ENSEMBLE, PENALTY, REFINED
from pictures import texture
from pni_fast import PNI
from pni_fast.model import exported_graph, exporting
from refiners import TINY, fitted_file


@pytest.fixture(scope="module")
def plain(shared_category, tmp_path_factory):
    """Return the file of a model that position acts in, by half."""
    target = tmp_path_factory.mktemp("export") / "model.safetensors"
    chosen = {"context": {"used": False}, "position_gate": False, "image_score": 0.01}
    return fitted_file(shared_category, target, **chosen)


def run(path, crop):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, session.run(None, {"crops": crop[None]})


def same(model_file, onnx_file, rtol=1e-3):
    model = PNI.load(model_file, device="cpu")
    for picture in (texture(50), texture(51, defect=True)):
        [expected] = model.predict([picture])
        session, (anomaly_map, score, *told) = run(onnx_file, expected.image)
        assert [value for (value,) in told] == [expected.is_defective] * (model.threshold_ is not None)
        np.testing.assert_allclose(score, [expected.score], rtol=rtol)
        np.testing.assert_allclose(
            anomaly_map[0], expected.anomaly_map, rtol=rtol, atol=rtol * expected.score
        )
    return session


def test_a_model_with_position(invoke, plain, category, tmp_path):
    model = PNI.load(plain, device="cpu")
    assert model.position_ is not None
    assert 0 < model.weight_ < 1
    target = tmp_path / "new" / "model.onnx"
    result = invoke("export", plain, "-o", target, "--check", category / "test", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["images"] == 4
    assert record["difference"] < 1e-4
    assert record["bytes"] == target.stat().st_size
    session = same(plain, target, 1e-4)
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["pni_fast.preprocessing"])["crop_from"] == [8, 8]
    assert len(said["pni_fast.model_sha256"]) == 64
    assert json.loads(said["pni_fast.decision"])["threshold"] == model.threshold_
    assert {end.name: (end.type, end.shape) for end in session.get_inputs() + session.get_outputs()} == {
        "crops": ("tensor(uint8)", [1, 64, 64, 3]),
        "anomaly_map": ("tensor(float)", [1, 64, 64]),
        "score": ("tensor(float)", [1]),
        "is_defective": ("tensor(bool)", [1]),
    }


def test_rows_are_searched_in_parts(invoke, plain, tmp_path, monkeypatch):
    from pni_fast.scoring import exported

    monkeypatch.setattr(exported, "MOST_DISTANCES", 100)
    assert invoke("export", plain, "-o", tmp_path / "model.onnx").exit_code == 0
    same(plain, tmp_path / "model.onnx", 1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"position": False, "sigma": 0.0},
        {"rule": "penalty", "distribution_size": 16, "position_gate": False},
        {"rule": "both", "distribution_size": 16, "position_gate": False},
        {"rule": "blend", "distribution_size": 16, "context": {"used": False}, "position_gate": False},
    ],
)
def test_other_models(invoke, shared_category, tmp_path, settings):
    file = fitted_file(shared_category, tmp_path / "model.safetensors", **settings)
    result = invoke("export", file, "-o", tmp_path / "model.onnx")
    assert result.exit_code == 0, result.stderr
    assert "4 pictures" in result.stdout
    same(file, tmp_path / "model.onnx", 1e-4)


def test_a_region(invoke, shared_category, tmp_path):
    roi = np.zeros((96, 96), bool)
    roi[:, :60] = True
    settings = {**TINY, "position": False, "context": {"used": False}}
    model = PNI("lite", **settings).fit(shared_category, roi=roi)
    model.save(tmp_path / "model.safetensors")
    assert invoke("export", tmp_path / "model.safetensors", "-o", tmp_path / "model.onnx").exit_code == 0
    same(tmp_path / "model.safetensors", tmp_path / "model.onnx", 1e-4)


@pytest.mark.parametrize("file", [REFINED, PENALTY])
def test_released_models(invoke, tmp_path, file):
    assert invoke("export", file, "-o", tmp_path / "model.onnx", "-q").stdout == ""
    same(file, tmp_path / "model.onnx", 1e-4)


@pytest.mark.parametrize(("file", "said"), [(ENSEMBLE, "one --backbone"), (BOTH, "--no-neighborhood")])
def test_what_cannot_be_exported(refused, tmp_path, file, said):
    line = refused("export", file, "-o", tmp_path / "model.onnx")
    assert line.startswith("export takes")
    assert said in line
    assert not list(tmp_path.iterdir())


def test_context_cannot_be_exported(refused, shared_category, tmp_path):
    settings = {"position": False, "position_gate": False, "rule": "blend", "context": {"used": True}}
    file = fitted_file(shared_category, tmp_path / "model.safetensors", **settings)
    assert "--no-context" in refused("export", file, "-o", tmp_path / "model.onnx")


def test_a_graph_that_gives_other_scores_is_not_written(refused, plain, tmp_path, monkeypatch):
    inner = exported_graph.add_image_score

    def wrong(graph, *arguments):
        return graph.node("Mul", [inner(graph, *arguments), graph.constant(1.01, "float32")])

    monkeypatch.setattr(exported_graph, "add_image_score", wrong)
    line = refused("export", plain, "-o", tmp_path / "model.onnx")
    assert "differs by" in line
    assert not list(tmp_path.iterdir())


def test_outputs_are_no_inputs(invoke, refused, plain, category, tmp_path):
    before = plain.read_bytes()
    result = invoke("export", plain, "-o", plain)
    assert result.exit_code == 2
    assert "is an input" in result.stderr
    assert plain.read_bytes() == before
    assert "it is a folder" in refused("export", plain, "-o", tmp_path)
    assert "no such" in refused("export", plain, "-o", tmp_path / "model.onnx", "--check", category / "none")
    assert not (tmp_path / "model.onnx").exists()


def test_nothing_to_check_with(refused, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "installed", lambda _: False)
    assert "pip install onnxruntime" in refused("export", plain, "-o", tmp_path / "model.onnx")


def test_openvino_checks_where_there_is_no_other(invoke, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "installed", lambda name: name == "openvino")
    result = invoke("export", plain, "-o", tmp_path / "model.onnx", "--json")
    assert json.loads(result.stdout)["runtime"] == "openvino"


def test_a_graph_of_gigabytes(refused, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_BYTES", 1000)
    assert "--coreset-ratio" in refused("export", plain, "-o", tmp_path / "model.onnx")


def test_the_example_in_the_docs(invoke, plain, tmp_path, monkeypatch, capsys):
    docs = Path(__file__).resolve().parents[2] / "docs" / "export.md"
    code = re.search(r"```python\n(.*?)```", docs.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert invoke("export", plain, "-o", "model.onnx", "-q").exit_code == 0
    texture(51, defect=True).save("part.png")
    exec(code[1], {})
    expected = PNI.load(plain, device="cpu").score_samples("part.png")
    assert float(capsys.readouterr().out.split()[0]) == pytest.approx(float(expected[0]), rel=1e-3)
