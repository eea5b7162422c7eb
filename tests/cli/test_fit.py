from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from pni_fast.errors import PniError


def test_fit_writes_a_model_and_says_what_it_holds(invoke, category, tmp_path):
    output = tmp_path / "new" / "model.safetensors"
    result = invoke("fit", category, "--output", output, "--no-neighborhood", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Fitted on 4 images")
    assert result.stdout.rstrip().endswith(str(output))
    verdict = json.loads(invoke("info", output, "--json").stdout)["position"]
    assert verdict.startswith(("kept: ", "dropped: "))
    assert f" Position {verdict}. Model: " in result.stdout
    assert " to do" in result.stderr  # plain progress lines, since this is no terminal
    assert output.stat().st_size > 1000


def test_json_result_and_the_switches_of_both_conditions(invoke, category, tmp_path):
    output = tmp_path / "model.safetensors"
    result = invoke(
        *("fit", category / "train" / "good", "-o", output, "--no-position", "--no-neighborhood"),
        *("--coreset-ratio", 0.005, "--seed", 3, "--threads", 1, "--device", "cpu", "--json", "--quiet"),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert record["n_images"] == 4
    assert record["skipped"] == []
    assert record["model"] == str(output)
    described = json.loads(invoke("info", output, "--json").stdout)
    names = ("coreset", "dimension", "n_images", "position", "position_risk")
    assert all(record[name] == described[name] for name in names)
    assert (described["position"], described["position_risk"]) == ("off", None)
    config = described["config"]
    assert (config["position"], config["neighborhood"], config["coreset_ratio"]) == (False, False, 0.005)


def test_quiet_prints_nothing(invoke, category, tmp_path):
    result = invoke("fit", category, "-o", tmp_path / "model", "-q", "--no-neighborhood", "--device", "cpu")
    assert (result.exit_code, result.output) == (0, "")


def test_the_same_seed_and_any_number_of_threads_write_the_same_bytes(
    invoke, model_file, shared_category, tmp_path
):
    again = tmp_path / "again.safetensors"
    result = invoke("fit", shared_category, "-o", again, "-q", "--threads", 1, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert again.read_bytes() == model_file.read_bytes()


def test_a_broken_image_is_named_and_nothing_is_written(refused, category, tmp_path, entries):
    broken = category / "train" / "good" / "001.png"
    broken.write_bytes(broken.read_bytes()[:300])
    before = entries(tmp_path)
    assert refused("fit", category, "-o", tmp_path / "model", "--device", "cpu").startswith(f"{broken}: ")
    assert entries(tmp_path) == before


def test_a_file_that_is_no_image_is_named(refused, category, tmp_path):
    broken = category / "train" / "good" / "001.png"
    broken.write_text("not an image")
    assert refused("fit", category, "-o", tmp_path / "model", "--device", "cpu").startswith(f"{broken}: ")


def test_skip_broken_goes_on_and_lists_them(invoke, category, tmp_path):
    good = category / "train" / "good"
    (good / "001.png").write_text("not an image")
    (good / "extra.jpg").write_bytes(b"")
    output = tmp_path / "model"
    arguments = ("fit", category, "-o", output, "--skip-broken", "--device", "cpu", "--quiet", "--json")
    result = invoke(*arguments, "--no-neighborhood")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["n_images"] == 3
    assert [item["reason"].split(": ")[0] for item in record["skipped"]] == [
        str(good / "001.png"),
        str(good / "extra.jpg"),
    ]
    lines = result.stderr.splitlines()
    assert lines[0] == "Skipped 2 broken files:"
    assert lines[1].startswith(f"  {good / '001.png'}: ")
    assert lines[2].startswith(f"  {good / 'extra.jpg'}: ")


def test_nothing_but_broken_images_is_an_error(refused, category, tmp_path):
    for image in (category / "train" / "good").iterdir():
        image.write_text("not an image")
    refused("fit", category, "-o", tmp_path / "model", "--skip-broken", "--device", "cpu")
    assert not (tmp_path / "model").exists()


def test_a_missing_path_and_a_folder_without_images(refused, tmp_path):
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    assert refused("fit", missing, "-o", tmp_path / "model").startswith(f"{missing}: no such ")
    assert refused("fit", empty, "-o", tmp_path / "model").startswith(f"{empty}: must hold images")


@pytest.mark.parametrize("below", ["", "sub"])
def test_an_unwritable_output_is_found_before_the_work_begins(refused, category, tmp_path, below):
    target = tmp_path
    if below:
        (tmp_path / "file").write_text("x")
        target = tmp_path / "file" / below
    # A broken data path is not even looked at.
    assert "cannot write" in refused("fit", category / "none", "-o", target)


def test_an_unknown_backbone_lists_close_names(refused, category, tmp_path):
    line = refused("fit", category, "-o", tmp_path / "model", "--backbone", "resnet19", "--device", "cpu")
    assert "'resnet19'" in line
    assert "resnet18" in line


def test_weights_that_lack_layers_the_extractor_needs(refused, category, tmp_path):
    import timm

    state = timm.create_model("resnet18").state_dict()
    del state["layer2.0.conv1.weight"]
    weights = tmp_path / "weights.pth"
    torch.save(state, weights)
    line = refused(
        *("fit", category, "-o", tmp_path / "model", "--backbone", "resnet18"),
        *("--weights", weights, "--device", "cpu"),
    )
    assert line.startswith(f"{weights}: ")
    assert "layer2.0.conv1.weight" in line


@pytest.mark.parametrize("content", [b"", b"garbage that is no archive"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_that_cannot_be_read(refused, category, tmp_path, suffix, content):
    weights = tmp_path / f"weights{suffix}"
    weights.write_bytes(content)
    options = ("--backbone", "resnet18", "--weights", weights, "--device", "cpu")
    assert refused("fit", category, "-o", tmp_path / "model", *options).startswith(f"{weights}: ")


def test_missing_weights_file(refused, category, tmp_path):
    weights = tmp_path / "none.pth"
    options = ("--backbone", "resnet18", "--weights", weights, "--device", "cpu")
    assert refused("fit", category, "-o", tmp_path / "model", *options) == f"{weights}: no such weights file"


def test_a_hub_that_cannot_be_reached_names_the_ways_out(starter, category, tmp_path):
    nowhere = {"TORCH_HOME": str(tmp_path / "torch"), "HTTPS_PROXY": "http://127.0.0.1:9"}
    result = starter.run(
        *("-m", "pni_fast.cli", "fit", category, "-o", tmp_path / "model"),
        *("--backbone", "resnet18.a1_in1k", "--device", "cpu", "-q"),
        environment=nowhere,
    )
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert "--weights" in lines[0]
    assert "--preset lite" in lines[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there(refused, category, tmp_path):
    assert "cuda" in refused("fit", category, "-o", tmp_path / "model", "--device", "cuda")


def test_grey_and_palette_photographs_are_taken(invoke, category, tmp_path):
    good = category / "train" / "good"
    with Image.open(good / "000.png") as image:
        image.convert("L").save(good / "grey.png")
        image.convert("P").save(good / "palette.png")
    result = invoke(
        "fit", good, "-o", tmp_path / "model", "-q", "--json", "--no-neighborhood", "--device", "cpu"
    )
    assert json.loads(result.stdout)["n_images"] == 6


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
        ("rule=product", "rule must be one of average, both, scores, penalty, got 'product'"),
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
