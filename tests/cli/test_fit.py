from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from pni_fast.cli.trials import LEGEND, trial_lines


def test_fit_writes_a_model_and_says_what_it_holds(invoke, category, tmp_path):
    output = tmp_path / "new" / "model.safetensors"
    result = invoke("fit", category, "--output", output, "--no-neighborhood", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    summary, choice, *table = result.stdout.splitlines()
    assert summary.startswith("Fitted on 4 images")
    assert summary.endswith(f"dimensions. Pictures at 512×512 pixels. Model: {output}")
    described = json.loads(invoke("info", output, "--json").stdout)
    assert choice == f"Condition: {described['conditions']}."
    *table, threshold, shortage = table
    assert table == trial_lines(described["trials"])
    assert threshold.startswith("Threshold ")
    assert shortage == "4 good images can promise no less than 20.0 %."
    text = invoke("info", output).stdout
    assert "\ntrials:\n" + "".join(f"  {line}\n" for line in table) in text
    assert " to do" in result.stderr  # plain progress lines, since this is no terminal
    assert output.stat().st_size > 1000


def test_json_result_and_the_switches_of_the_conditions(invoke, category, tmp_path):
    output = tmp_path / "model.safetensors"
    result = invoke(
        *("fit", category / "train" / "good", "-o", output, "--no-position", "--no-context"),
        *("--coreset-ratio", 0.005, "--seed", 3, "--threads", 1, "--device", "cpu", "--json", "--quiet"),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert record["n_images"] == 4
    assert record["skipped"] == []
    assert record["model"] == str(output)
    described = json.loads(invoke("info", output, "--json").stdout)
    names = ("coreset", "dimension", "n_images", "position", "context", "conditions", "weight", "trials")
    assert all(record[name] == described[name] for name in names)
    assert [described[name] for name in names[3:]] == ["off", "off", "off", 0.0, None]
    config = described["config"]
    assert (config["position"], config["neighborhood"], config["coreset_ratio"]) == (False, False, 0.005)


def test_trials_are_one_aligned_table():
    rows = [
        {
            "condition": condition,
            "weight": weight,
            "risk": weight / 10,
            "sees": 0.75,
            "chosen": condition == "context",
            "seen": {kind: {"image_auroc": 1.0, "pixel_f1_max": 0.5} for kind in kinds},
        }
        for condition, weight, kinds in (("none", 0.0, ["move"]), ("context", 0.5, ["move", "sw\nap\x1b"]))
    ]
    assert trial_lines(rows) == [
        "   condition  weight   risk   sees         move  sw\\x0aap\\x1b",
        "   none        0.000  0.000  0.750  1.000/0.500             -",
        "*  context     0.500  0.050  0.750  1.000/0.500   1.000/0.500",
        LEGEND,
    ]
    assert trial_lines([]) == []


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
