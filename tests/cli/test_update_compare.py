"""`update`, `compare`, `fit --suspects` and `score --report` on the command line."""

import csv
import json
import re

import numpy as np
import pytest
from model_files import PENALTY
from pictures import texture
from pni_fast import PNI
from pni_fast.decision import Decision
from pni_fast.model.prediction import Prediction
from pni_fast.report import Production


@pytest.fixture(scope="module")
def updated(model_file, shared_category, tmp_path_factory):
    """Return the file of a model that knows the defects of the category as good."""
    from click.testing import CliRunner
    from pni_fast.cli.application import application

    target = tmp_path_factory.mktemp("updated") / "updated.safetensors"
    folder = shared_category / "test" / "stain"
    command = ["update", str(model_file), str(folder), "-o", str(target), "--json", "--device", "cpu", "-q"]
    result = CliRunner().invoke(application, command)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert (record["added"], record["n_images"], record["known"]) == (2, 6, [])
    return target


def test_update_says_what_it_did(invoke, refused, updated, model_file, category, tmp_path):
    again = ("update", updated, category / "test/stain", "-o", tmp_path / "x.safetensors", "--device", "cpu")
    assert "all 2 images are in the model already" in refused(*again)
    line = refused("update", PENALTY, category / "test/stain", "-o", tmp_path / "x.safetensors")
    assert "keeps no scores of good images" in line
    result = invoke("update", model_file, category, "-o", tmp_path / "y.safetensors", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert "In the model already, by the same bytes: " in result.stdout
    assert "train/good/000.png" in result.stdout
    assert "Threshold " in result.stdout


def test_compare_shows_changed_verdicts(invoke, refused, model_file, updated, category, tmp_path):
    output = tmp_path / "out"
    options = ("-o", output, "--device", "cpu")
    result = invoke("compare", model_file, updated, category / "test", *options, "--json", "-q")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert (record["images"], record["now_defective"]) == (4, 0)
    with (output / "changes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == record["changed"] == record["now_good"] == 2
    assert {(row["verdict"], row["verdict_2"]) for row in rows} == {("defective", "good")}
    page = (output / "report.html").read_text(encoding="utf-8")
    assert page.count("<article") == 2
    assert "defective → good" in page
    same = invoke("compare", updated, updated, category / "test/good", *options)
    assert same.stdout.startswith("0 of 2 verdicts change")
    line = refused("compare", model_file, PENALTY, category / "test", *options)
    assert line.startswith(f"{PENALTY}: has no threshold")


def test_suspects_have_a_page(invoke, category, tmp_path):
    for index in range(6):
        texture(60 + index).save(category / f"train/good/1{index}.png")
    texture(50, defect=True).save(category / "train/good/x.png")
    options = ("--set", "resize=80", "--set", "crop=64", "--set", "position_gate=no", "--device", "cpu")
    output = tmp_path / "m.safetensors"
    result = invoke("fit", category, "-o", output, *options, "--suspects", tmp_path / "s")
    assert result.exit_code == 0, result.stderr
    assert "1 image looks like a defect among the good" in result.stdout
    page = (tmp_path / "s" / "suspects.html").read_text(encoding="utf-8")
    assert page.count("<article") == 1
    assert "x.png" in page
    result = invoke("fit", category, "-o", output, *options, "--drop-suspects", 1, "--json", "-q")
    assert json.loads(result.stdout)["n_images"] == 10


def test_the_page_of_a_run(invoke, model_file, category, tmp_path):
    result = invoke(
        "score", model_file, category / "test", "-o", tmp_path, "--report", "--device", "cpu", "-q"
    )
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 of 4 images are defective" in page
    assert page.count("<article") == 4
    assert 'loading="lazy"' in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    again = invoke("score", model_file, category / "test/good", "-o", tmp_path, "--device", "cpu", "-q")
    assert again.exit_code == 0
    assert not (tmp_path / "report.html").exists(), "of the run before"


def test_the_page_of_a_long_run_shows_few_pictures_and_every_score(tmp_path):
    scores = np.random.default_rng(0).gumbel(10, 2, 3000)
    decision = Decision.of(scores[:200], scores[:200], false_alarms=0.05)
    page, blank = Production("<b>", decision, (0.0, 1.0)), np.zeros((4, 4), np.float32)
    for index, score in enumerate([*scores[200:], *np.linspace(40, 50, 500)]):
        told = decision.is_defective(score)
        found = Prediction(
            f"<{index}>", None, score, blank, np.zeros((4, 4, 3), np.uint8), decision.p_value(score), told
        )
        page.add(found.name, found, None)
    page.write(tmp_path / "p.html", drift=None, skipped=[("<i>", "broken")])
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert text.count("<article") == 500
    assert text.count('<tr><th scope="row">') == 3300
    assert "<b>" not in text.replace("<b style", "")
    assert "&lt;i&gt;: broken" in text
    assert "400 of " in text


def test_models_with_suspects_load(model_file):
    assert PNI.load(model_file, device="cpu").decision_.suspects == ()
