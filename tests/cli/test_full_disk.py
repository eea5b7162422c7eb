"""A disk that fills up under `fit`: one line, the old files whole, nothing beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pni_fast import PNI
from pni_fast.refinement import train
from pni_fast.refinement.checkpoint import read_header

BEFORE = '12345678{"__metadata__":{"pni_fast":"the model before'
SMALL = ("--device", "cpu", "--quiet", "--no-neighborhood", "--coreset-ratio", 0.1)
SMALL += ("--set", "resize=80", "--set", "crop=64")
REFINED = ("--refine", "--refine-iterations", 4)
for _text in ("levels=0,1", "widths=8,8", "side=32", "bank=4", "batch=2", "checkpoint_every=2"):
    REFINED += ("--set", f"refiner.{_text}")


@pytest.fixture
def full(monkeypatch, small_files):
    """Return a change of a function that writes: from a call on the disk is full while it runs."""

    def change(owner: object, name: str, after: int = 0) -> None:
        whole, calls = getattr(owner, name), []

        def limited(*arguments, **options):
            calls.append(name)
            if len(calls) <= after:
                return whole(*arguments, **options)
            with small_files():
                return whole(*arguments, **options)

        monkeypatch.setattr(owner, name, limited)

    return change


def test_a_model_that_cannot_be_written_after_the_fit(refused, category, tmp_path, entries, full):
    output = tmp_path / "model.safetensors"
    output.write_text(BEFORE)
    before = entries(tmp_path)
    full(PNI, "save")
    assert refused("fit", category, "-o", output, *SMALL) == f"{output}: cannot write: File too large"
    assert output.read_text() == BEFORE
    assert entries(tmp_path) == before


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    invoke, refused, category, tmp_path, entries, full, monkeypatch
):
    output, checkpoint = tmp_path / "model.safetensors", tmp_path / "training"
    output.write_text(BEFORE)
    command = ("fit", category, "-o", output, *SMALL, *REFINED, "--checkpoint", checkpoint)
    before = entries(tmp_path)
    with monkeypatch.context():
        full(train, "save_checkpoint", after=1)
        assert refused(*command) == f"{checkpoint}: cannot write: File too large"
    assert entries(tmp_path) == sorted([*before, checkpoint.name])
    assert output.read_text() == BEFORE
    assert read_header(checkpoint)["iteration"] == "2"
    monkeypatch.undo()
    result = invoke(*command)
    assert result.exit_code == 0, result.stderr
    assert entries(tmp_path) == before
    assert PNI.load(output, device="cpu").refiner_ is not None


def test_room_for_the_model_is_looked_at_before_the_fit(refused, category, tmp_path, entries, monkeypatch):
    output = tmp_path / "new" / "model.safetensors"
    before = entries(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 << 20))
    monkeypatch.setattr(PNI, "fit", lambda *_, **__: pytest.fail("the fit began"))
    line = refused("fit", category, "-o", output, *SMALL)
    assert line == (
        f"{output}: cannot write: 2.9 MiB may be needed, got 2.0 MiB free in {tmp_path}; "
        "free some or give another folder"
    )
    # A checkpoint is there twice while the next one is written.
    line = refused("fit", category, "-o", output, *SMALL, *REFINED, "--checkpoint", tmp_path / "training")
    assert f"{output}: cannot write: 3." in line
    assert entries(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux's")
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_standard_output_that_takes_nothing_is_one_line(option):
    command = [sys.executable, "-m", "pni_fast", option]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")
