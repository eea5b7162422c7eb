from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from pni_fast.cli.fit import described_conditions, described_coresets, described_position
from pni_fast.cli.trials import trial_lines

LITE, RESNET = "tf_efficientnet_lite0", "resnet18"


def test_an_ensemble_from_the_fit_to_the_report(invoke, category, resnet_weights, tmp_path):
    model = tmp_path / "model.safetensors"
    common = ("--device", "cpu", "--json", "-q")
    fitted = invoke(
        *("fit", category, "-o", model, "--backbone", LITE, "--backbone", RESNET),
        *("--weights", "-", "--weights", resnet_weights, "--no-neighborhood", "--coreset-ratio", 0.005),
        *common,
    )
    assert fitted.exit_code == 0, fitted.stderr
    members = json.loads(fitted.stdout)["members"]
    assert [(member["backbone"], member["dimension"]) for member in members] == [(LITE, 152), (RESNET, 384)]

    assert described_coresets(members) == (
        f"2 members: {LITE}, a coreset of {members[0]['coreset']} vectors of 152 dimensions; "
        f"{RESNET}, a coreset of {members[1]['coreset']} vectors of 384 dimensions"
    )

    spoken = described_position(
        [
            {**members[0], "conditions": None, "position": "kept: a"},
            {**members[1], "conditions": None, "position": "dropped: b"},
        ]
    )
    assert spoken == f"Position with {LITE} kept: a. Position with {RESNET} dropped: b. "
    assert described_position(members) == ""
    told = described_conditions(members)
    for member in members:
        at = told.index(f"Condition with {member['backbone']}: {member['conditions']}.") + 1
        table = trial_lines(member["trials"])
        assert told[at : at + len(table)] == table

    described = json.loads(invoke("info", model, "--json").stdout)
    assert described["weights"] == ["embedded", "resnet18.safetensors"]
    assert [member["coreset"] for member in described["members"]] == [member["coreset"] for member in members]
    assert [member["trials"] for member in described["members"]] == [member["trials"] for member in members]
    text = invoke("info", model).stdout
    assert "members 0:\n  backbone:" in text
    assert f"backbone:      {LITE}, {RESNET}" in text

    scored = invoke("score", model, category / "test", "-o", tmp_path / "scores", "--maps", *common)
    assert scored.exit_code == 0, scored.stderr
    rows = list(csv.DictReader((tmp_path / "scores" / "scores.csv").read_text().splitlines()))
    good, bad = (
        [float(row["score"]) for row in rows if row["image"].startswith(kind)] for kind in ("good", "stain")
    )
    assert len(good) == len(bad) == 2
    assert min(bad) > 1.5 > max(good) > 0, "in units of the range of good images"
    written = np.load(tmp_path / "scores" / "maps" / "stain" / "000.npy")
    assert f"{written.max():.9g}" == rows[2]["score"]

    evaluated = invoke("evaluate", model, category, "-o", tmp_path / "out", *common)
    assert evaluated.exit_code == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["image_auroc"] == 1.0
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"{LITE}, weights: embedded" in report
    assert f"{RESNET}, weights: resnet18.safetensors" in report
    assert "members.1.coreset" in report


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backbone", "a", "--backbone", "b", "--backbone", "c"), "got 2 for 3 (a, b, c)"),
        (("--backbone", "a"), "got 2 for 1 (a)"),
        ((), "got 2 for 1 (tf_efficientnet_lite0)"),
        (("--preset", "paper-ensemble"), "got 2 for 3 (wide_resnet101_2.tv_in1k, "),
    ],
)
def test_counts_that_differ_are_wrong_usage(invoke, category, tmp_path, options, message):
    result = invoke("fit", category, "-o", tmp_path / "m", "--weights", "x", "--weights", "y", *options)
    assert result.exit_code == 2
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: --weights and --backbone: weights must name one file for each backbone")
    assert message in line


def test_a_benchmark_checks_the_counts_of_every_preset(invoke, category, tmp_path):
    result = invoke(
        *("benchmark", category.parent, "--dataset", "folder", "-o", tmp_path / "out"),
        *("--presets", "paper-ensemble,lite", "--weights", "x", "--weights", "y", "--weights", "z"),
    )
    assert result.exit_code == 2
    assert "got 3 for 1 (tf_efficientnet_lite0)" in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_installation_names_the_weights_of_all_three(invoke):
    found = json.loads(invoke("info", "--json").stdout)["weights"]["paper-ensemble"]
    assert [line.partition(".")[0] for line in found] == [
        "wide_resnet101_2",
        "resnext101_32x8d",
        "densenet201",
    ]
    lines = invoke("info").stdout.splitlines()
    start = lines.index("  paper-ensemble:") + 1
    assert [line.strip() for line in lines[start : start + len(found)]] == found
