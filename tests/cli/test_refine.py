"""`pni-fast refine`: one refiner in the models of several categories, or nothing written at all."""

import json
import shutil
import signal
import time
from dataclasses import replace

import pytest
import torch
from pni_fast import PNI
from refiners import SMALL, fitted_file


@pytest.fixture(scope="module")
def categories(shared_category, tmp_path_factory):
    """Two categories, of four and of three images."""
    second = shutil.copytree(shared_category, tmp_path_factory.mktemp("data") / "fewer")
    (second / "train" / "good" / "001.png").unlink()
    return [shared_category, second]


@pytest.fixture(scope="module")
def models(categories, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [fitted_file(category, folder / f"{category.name}.safetensors") for category in categories]


@pytest.fixture
def command(categories, models, tmp_path):
    """The arguments of a plain call, without the command's name."""
    return (*categories, "--models", *models, "--output", tmp_path / "out", "--device", "cpu")


def test_every_model_is_written_with_the_same_refiner(invoke, categories, models, tmp_path, command):
    before = [model.read_bytes() for model in models]
    checkpoint = tmp_path / "training.safetensors"
    result = invoke("refine", *command, "--iterations", 3, "--checkpoint", checkpoint, "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    written = [tmp_path / "out" / model.name for model in models]
    assert [entry["model"] for entry in record["models"]] == [str(path) for path in written]
    assert [entry["category"] for entry in record["models"]] == [str(path) for path in categories]
    assert [entry["n_images"] for entry in record["models"]] == [4, 3]
    assert record["iterations"] == 3
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)
    assert not checkpoint.exists()
    assert [model.read_bytes() for model in models] == before
    first, second = (PNI.load(path, device="cpu") for path in written)
    states = first.refiner_.state_dict(), second.refiner_.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert first.refiner_range_ != second.refiner_range_
    for model, given in zip((first, second), models, strict=True):
        assert "refinement" in model.summary()["parts"]
        assert model.config.refiner == replace(SMALL, iterations=3)
        assert (model.coreset_ == PNI.load(given, device="cpu").coreset_).all()
    assert "2/2 coreset" in result.stderr


def test_the_models_own_folder_replaces_them(invoke, categories, models, tmp_path):
    own = shutil.copy(models[0], tmp_path)
    options = ("--models", own, "-o", tmp_path, "--iterations", 1, "--device", "cpu")
    result = invoke("refine", categories[0], *options)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Trained one refiner for 1 model in ")
    assert PNI.load(own, device="cpu").refiner_ is not None
    assert [path.name for path in tmp_path.iterdir()] == [models[0].name]
    # Once more: what refiner a model has makes no difference to the one it gets.
    once = PNI.load(own, device="cpu").refiner_.state_dict()
    assert invoke("refine", categories[0], *options, "--quiet").output == ""
    again = PNI.load(own, device="cpu").refiner_.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in once.items())


def test_a_killed_run_started_again_writes_the_same_bytes(invoke, models, tmp_path, command, starter):
    steps = ("--iterations", 12)
    result = invoke("refine", *command, *steps, "--quiet", "--threads", 1)
    assert result.exit_code == 0, result.stderr
    whole = [(tmp_path / "out" / model.name).read_bytes() for model in models]
    shutil.rmtree(tmp_path / "out")

    checkpoint = tmp_path / "training.safetensors"
    arguments = ("refine", *command, *steps, "--checkpoint", checkpoint, "--quiet")
    running = starter.start("-m", "pni_fast.cli", *arguments)
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
    finally:
        running.kill()
        _, complaint = running.communicate()
    assert running.returncode == -signal.SIGKILL, complaint
    assert checkpoint.exists()
    assert not any((tmp_path / "out" / model.name).exists() for model in models)

    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    assert not checkpoint.exists()
    assert [(tmp_path / "out" / model.name).read_bytes() for model in models] == whole


def test_a_checkpoint_of_another_run_is_refused_and_kept(refused, models, tmp_path, command):
    from pni_fast import refine

    checkpoint = tmp_path / "training.safetensors"
    refine(models[:1], [command[0]], iterations=2, device="cpu", checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    for options in (("--iterations", 2), ("--iterations", 2, "--seed", 1)):
        line = refused("refine", *command, *options, "--checkpoint", checkpoint, "--quiet")
        assert line.startswith(f"{checkpoint}: the checkpoint is of another run")
        assert checkpoint.read_bytes() == before
        assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_none_is_refused_before_the_work_begins(refused, tmp_path, command):
    checkpoint = tmp_path / "training.safetensors"
    checkpoint.write_bytes(b"something else")
    line = refused("refine", *command, "--checkpoint", checkpoint)
    assert line.startswith(f"{checkpoint}: not a readable refinement checkpoint")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"crop": 48}, "must have one size: its own is 48x48 pixels, that of {first} is 64x64"),
        (
            {"refiner": replace(SMALL, side=24)},
            "must have the same refiner settings: its side is 24, that of {first} is 32",
        ),
    ],
)
def test_models_that_cannot_share_a_refiner(refused, categories, models, tmp_path, changed, message):
    other = fitted_file(categories[1], tmp_path / "other.safetensors", **changed)
    line = refused("refine", *categories, "--models", models[0], other, "-o", tmp_path / "out")
    assert line == f"{other}: models of one refiner " + message.format(first=models[0])
    assert not (tmp_path / "out").exists()


def test_models_in_another_order_than_the_categories(refused, categories, models, tmp_path):
    line = refused(
        *("refine", *categories, "--models", *models[::-1], "-o", tmp_path / "out", "--device", "cpu")
    )
    assert line == (
        f"{categories[0]}: must hold the 3 images that {models[1]} was fitted on, got 4; is it the model of "
        "another category?"
    )
    assert not (tmp_path / "out").exists()


def test_files_that_are_not_there(refused, categories, models, tmp_path):
    missing = tmp_path / "none"
    options = ("-o", tmp_path / "out", "--device", "cpu")
    line = refused("refine", categories[0], "--models", missing, *options)
    assert line == f"{missing}: no such model file"
    line = refused("refine", missing, "--models", models[0], *options)
    assert line.startswith(f"{missing}: no such ")
    assert not (tmp_path / "out").exists()


def test_broken_images_are_named_or_skipped(invoke, refused, category, tmp_path):
    good = category / "train" / "good"
    (good / "broken.png").write_text("not an image")
    model = tmp_path / "model.safetensors"
    model.write_bytes(fitted_file(category / "train" / "good" / "000.png", tmp_path / "one").read_bytes())
    options = ("--models", model, "-o", tmp_path / "out", "--iterations", 1, "--device", "cpu", "--quiet")
    assert refused("refine", category, *options).startswith(f"{good / 'broken.png'}: ")
    for name in ("001.png", "002.png", "003.png"):
        (good / name).unlink()
    result = invoke("refine", category, *options, "--skip-broken")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("Skipped 1 broken file:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "b", "--models", "m"), "--models must name one model for each CATEGORY: got 1 for 2"),
        (("a", "--models", "m", "n", "--quiet"), "got 2 for 1"),
        (("--models", "m", "a"), "Missing argument 'CATEGORY...'"),
        (("a", "--models", "--quiet"), "Option '--models' requires an argument"),
        (("a",), "Missing option '--models'"),
        (("a", "b", "--models", "x/m", "y/m"), "--models must differ in their file names, got 'm'"),
        (("a", "--models", "m", "--iterations", 0), "--iterations"),
    ],
)
def test_wrong_usage_is_status_2(invoke, tmp_path, arguments, message):
    result = invoke("refine", *arguments, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_models_may_be_given_one_by_one_and_before_the_categories(invoke, categories, models, tmp_path):
    options = ("-o", tmp_path / "out", "--iterations", 1, "--device", "cpu", "--quiet")
    result = invoke(
        *("refine", "--models", models[0], "--models", models[1], *options, "--", *categories),
    )
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(m.name for m in models)
