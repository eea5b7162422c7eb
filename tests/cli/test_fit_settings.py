"""`pni-fast fit`: settings by name, parts switched on and off, the options of the refiner."""

from __future__ import annotations

import json

import pytest
from pni_fast.errors import PniError


@pytest.mark.parametrize(("flag", "wanted"), [("--refine", True), ("--no-refine", False), (None, None)])
def test_refinement_is_the_presets_unless_asked_for(invoke, category, tmp_path, monkeypatch, flag, wanted):
    from pni_fast.model.pni import PNI

    asked = []

    def remember(self, *_arguments, **_options):
        asked.append(self.config.refinement)
        raise PniError("seen enough")

    monkeypatch.setattr(PNI, "fit", remember)
    for preset, default in (("lite", False), ("paper", True)):
        flags = [flag] if flag else []
        invoke("fit", category, "-o", tmp_path / "m", "--preset", preset, "--device", "cpu", *flags)
        assert asked.pop() is (default if wanted is None else wanted)


def test_settings_are_set_by_name_and_saved(invoke, category, tmp_path):
    output = tmp_path / "model.safetensors"
    result = invoke(
        *("fit", category, "-o", output, "-q", "--device", "cpu", "--coreset-ratio", 0.005),
        *("--set", "rule=scores", "--set", "mlp.dropout=0.5", "--set", "mlp.validation=0.25"),
        *("--set", "mlp.fit_temperature=yes", "--set", "likelihood_lambda=2", "--set", "mlp.positions=256"),
        *("--set", "position_gate=no"),
    )
    assert result.exit_code == 0, result.stderr
    described = json.loads(invoke("info", output, "--json").stdout)
    assert (described["position"], "position" in described["parts"]) == ("used", True)
    config = described["config"]
    assert (config["rule"], config["likelihood_lambda"]) == ("scores", 2.0)
    wanted = {"dropout": 0.5, "validation": 0.25, "fit_temperature": True, "positions": 256}
    assert wanted.items() <= config["mlp"].items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp.dropout=1", "mlp.dropout must be at least 0 and below 1, got 1.0"),
        ("rule=product", "rule must be one of average, both, scores, penalty, blend, got 'product'"),
        ("mlp.fit_temperature=yes", "mlp.fit_temperature needs a validation share above 0"),
    ],
)
def test_a_setting_out_of_its_range_is_named(refused, category, tmp_path, text, message):
    assert message in refused("fit", category, "-o", tmp_path / "model", "--set", text)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["mlp.drop=1"], "unknown setting 'mlp.drop'; settings are "),
        (["dropout"], "must be NAME=VALUE, got 'dropout'"),
        (["=1"], "must be NAME=VALUE, got '=1'"),
        (["seed=1"], "seed has an option of its own: --seed"),
        (["sigma=1", "sigma=2"], "sigma may be set once only"),
    ],
)
def test_a_setting_without_sense_is_wrong_usage(invoke, category, tmp_path, texts, message):
    given = [part for text in texts for part in ("--set", text)]
    result = invoke("fit", category, "-o", tmp_path / "model", *given)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_part_that_a_preset_leaves_out_can_be_switched_on(invoke, category, tmp_path):
    output = tmp_path / "model.safetensors"
    arguments = ("fit", category, "-o", output, "-q", "--device", "cpu", "--coreset-ratio", 0.005)
    result = invoke(*arguments, "--preset", "best", "--set", "neighborhood=yes", "--set", "mlp.positions=256")
    assert result.exit_code == 0, result.stderr
    described = json.loads(invoke("info", output, "--json").stdout)
    assert "neighborhood" in described["parts"]
    assert described["likelihood_lambda"] > 0
    assert described["config"]["rule"] == "penalty"


def test_options_of_the_refiner_reach_the_fit_and_the_checkpoint_goes_when_the_model_is_there(
    invoke, category, tmp_path, monkeypatch, model_file
):
    from pni_fast.model.pni import PNI

    checkpoint = tmp_path / "training"
    asked = []

    def trained(self, *_arguments, checkpoint, **_options):
        asked.append((self.config.refinement, self.config.refiner.iterations))
        checkpoint.write_bytes(b"state")
        self._fitted = PNI.load(model_file, device="cpu")._fitted
        return self

    monkeypatch.setattr(PNI, "fit", trained)
    options = ("--refine", "--refine-iterations", 7, "--checkpoint", checkpoint, "--device", "cpu")
    result = invoke("fit", category, "-o", tmp_path / "m", *options)
    assert result.exit_code == 0, result.stderr
    assert asked == [(True, 7)]
    assert (tmp_path / "m").read_bytes() == model_file.read_bytes()
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    "option", [("--checkpoint", "file"), ("--refine-iterations", 5), ("--refiner-weights", "w.pth")]
)
def test_options_of_the_refiner_without_one(invoke, category, tmp_path, option):
    result = invoke("fit", category, "-o", tmp_path / "m", *option, "--device", "cpu")
    assert result.exit_code == 2
    assert f"{option[0]} needs a refiner: add --refine" in result.stderr


def test_missing_weights_of_the_refiner_are_found_before_the_work_begins(refused, category, tmp_path):
    weights = tmp_path / "none.pth"
    options = ("--refine", "--refiner-weights", weights, "--device", "cpu")
    assert refused("fit", category, "-o", tmp_path / "m", *options) == f"{weights}: no such weights file"


def test_an_unwritable_checkpoint_is_found_before_the_work_begins(refused, category, tmp_path):
    options = ("--refine", "--checkpoint", tmp_path, "--device", "cpu")
    line = refused("fit", category / "none", "-o", tmp_path / "m", *options)
    assert line.startswith(f"{tmp_path}: cannot write")
