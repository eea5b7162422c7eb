"""Runs of `score` that are ended early, gone on with, and watched; with a model that costs nothing."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import textwrap
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pni_fast import PNI
from pni_fast.cli.resume import STATE, identity
from pni_fast.cli.scoring import score_images
from pni_fast.config import Geometry
from pni_fast.decision import Decision
from pni_fast.errors import DataError, PniError


@dataclass
class Prediction:
    name: str
    path: Path
    score: float
    anomaly_map: np.ndarray
    image: np.ndarray
    p_value: float
    is_defective: bool


class Means:
    """A model whose score is an image's mean; it ends with an error after so many images."""

    normalization_ = (0.0, 200.0)
    geometry = Geometry(resize=8, crop=8)
    decision_ = Decision.of(*np.random.default_rng(0).uniform(-60, 90, (2, 30)).round(3), false_alarms=0.4)

    def __init__(self, most=10**9):
        self.most, self.scored, self.skipped_ = most, [], []

    def predict(self, sources, *, skip_broken, progress):
        self.skipped_ = []
        for source in sources:
            try:
                pixels = np.asarray(source.read().convert("RGB"))
            except DataError as error:
                assert skip_broken
                self.skipped_.append((source.name, str(error)))
                continue
            if len(self.scored) == self.most:
                raise PniError("out of power")
            self.scored.append(source.name)
            grey = pixels[..., 0].astype(np.float32)
            grey[4:, 3] = grey[:, 6] = 0  # three regions where it is bright
            score = float(np.float32(grey.mean() + 1 / 3))
            told = self.decision_.p_value(score), self.decision_.is_defective(score)
            yield Prediction(source.name, source.path, score, grey, pixels, *told)
            progress("score", len(self.scored), len(sources))


@pytest.fixture
def found(tmp_path):
    """Return images whose names need care: alike but for the suffix, formulas, line ends, broken, twice."""
    names = ["a/0.png", "a/0.bmp", "=1.png", "bro\nken.png", "line\nend.png", "z.png", "z.png", "last.png"]
    pairs = []
    for number, name in enumerate(names):
        path = tmp_path / "in" / str(number) / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(path)
        pairs.append((path, name))
    pairs[3][0].write_bytes(b"no")
    pairs[5][0].write_bytes(b"no")  # of the two named alike, the first
    return pairs


def run(found, output, model, *, resume=True, options=None, told=None):
    return score_images(
        model,
        found,
        output,
        maps=True,
        overlays=True,
        report=True,
        min_area=2,
        skip_broken=True,
        quiet=True,
        run=identity("sha256:model", found, options or {"maps": True}),
        resume=resume,
        tell=None if told is None else told.append,
    )


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def staging(output):
    (found,) = output.glob(".pni-fast-????????")
    return found


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 5])
def test_a_run_gone_on_with_is_the_run_that_was_never_ended(found, tmp_path, monkeypatch, most):
    monkeypatch.setattr(import_module("pni_fast.decision.drift"), "FEWEST", 2)
    whole, lines = Means(), []
    expected = run(found, tmp_path / "whole" / "out", whole, resume=False, told=lines)
    with pytest.raises(PniError, match="out of power"):
        run(found, tmp_path / "out", Means(most))
    assert not (tmp_path / "out" / "scores.csv").exists()
    rest, again = Means(), []
    done = run(found, tmp_path / "out", rest, told=again)
    files = contents(tmp_path / "out")
    assert files == contents(tmp_path / "whole" / "out")
    assert {"scores.csv", "regions.csv", "summary.json", "report.html"} < set(files)
    shown = whole.scored[:most]  # again, for the page
    assert rest.scored == shown + whole.scored[most:]
    assert (done.images, done.skipped) == (expected.images, expected.skipped) == (6, whole.skipped_)
    assert done.defective == expected.defective == 3
    assert done.drift == expected.drift is not None
    places = {"map", "overlay"}
    assert [{name: line[name] for name in line.keys() - places} for line in again] == [
        {name: line[name] for name in line.keys() - places} for line in lines
    ]
    assert {line.get("verdict") for line in lines} == {"good", "defective", None}


def test_what_was_half_written_is_done_again(found, tmp_path):
    expected = run(found, tmp_path / "whole" / "out", Means(), resume=False)
    assert expected.images == 6

    def ended():
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        with pytest.raises(PniError, match="out of power"):
            run(found, tmp_path / "out", Means(4))
        return staging(tmp_path / "out")

    def cut(path, count):
        path.write_bytes(path.read_bytes()[:-count])

    def add(path, content):
        path.write_bytes(path.read_bytes() + content)

    for harm in (
        lambda folder: cut(folder / "scores.csv", 1),
        lambda folder: cut(folder / "scores.csv", 9),
        lambda folder: (folder / "scores.csv").unlink(),
        lambda folder: (folder / ".pni-fast-skipped").unlink(),
        lambda folder: cut(folder / ".pni-fast-skipped", 5),
        lambda folder: cut(folder / "maps" / "a" / "0.bmp.npy", 4),
        lambda folder: cut(next((folder / "overlays").glob("=*")), 2),
        lambda folder: next((folder / "overlays").glob("=*")).unlink(),
        lambda folder: cut(folder / "regions.csv", 1),
        lambda folder: (folder / "regions.csv").unlink(),
        lambda folder: add(folder / "regions.csv", b"z.png,1,"),
        lambda folder: cut(folder / ".pni-fast-regions", 1),
        lambda folder: (folder / ".pni-fast-regions").unlink(),
    ):
        harm(ended())
        done = run(found, tmp_path / "out", Means())
        assert contents(tmp_path / "out") == contents(tmp_path / "whole" / "out")
        assert done.skipped == expected.skipped


def test_rows_can_be_watched(found, tmp_path):
    class Watched(Means):
        def predict(self, sources, **options):
            for prediction in super().predict(sources, **options):
                yield prediction
                folder = staging(tmp_path / "out")
                seen.append((folder / "scores.csv").read_bytes().count(b",") // 3 - 1)
                assert len(list((folder / "maps").rglob("*.npy"))) == seen[-1]

    seen = []
    run(found, tmp_path / "out", Watched(), resume=False)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert not list((tmp_path / "out").glob(".pni-fast-????????"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found, _: os.utime(found[0][0], (1, 1)), "other inputs"),
        (lambda found, _: found.pop(), "other inputs"),
        (lambda _, options: options.update(maps=False), r"another maps \(True\)"),
    ],
)
def test_another_run_is_not_gone_on_with(found, tmp_path, change, message):
    with pytest.raises(PniError, match="out of power"):
        run(found, tmp_path / "out", Means(2))
    options = {"maps": True}
    change(found, options)
    with pytest.raises(PniError, match=f"cannot resume: the run that was ended early is of {message}"):
        run(found, tmp_path / "out", Means(), options=options)
    assert (staging(tmp_path / "out") / STATE).is_file()
    assert run(found, tmp_path / "out", Means(), options=options, resume=False).images


def test_without_resume_an_error_leaves_nothing(found, tmp_path):
    with pytest.raises(PniError, match="out of power"):
        run(found, tmp_path / "out", Means(2), resume=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_is_gone_on_with(found, tmp_path, starter):
    """A plain run, without --resume, that is killed between two images."""
    code = f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import test_resume as tests

        class Slow(tests.Means):
            def predict(self, sources, **options):
                for number, prediction in enumerate(super().predict(sources, **options)):
                    if number == 3:
                        Path({str(tmp_path / "waiting")!r}).touch()
                        time.sleep(60)
                    yield prediction

        found = [(Path(path), name) for path, name in {[(str(path), name) for path, name in found]!r}]
        tests.run(found, Path({str(tmp_path / "out")!r}), Slow(), resume=False)
    """
    started = starter.start("-c", textwrap.dedent(code))
    for _ in range(1200):
        if (tmp_path / "waiting").exists() or started.poll() is not None:
            break
        time.sleep(0.05)
    started.kill()
    started.communicate()
    rest = Means()
    done = run(found, tmp_path / "out", rest)
    run(found, tmp_path / "whole" / "out", Means(), resume=False)
    assert (done.before, len(rest.scored)) == (3, 6), "three of them for the page"
    assert contents(tmp_path / "out") == contents(tmp_path / "whole" / "out")


def test_one_line_an_image(invoke, category, model_file, tmp_path):
    broken = category / "test" / "broken.png"
    broken.write_bytes(b"no")
    arguments = ("score", model_file, category / "test", "-o", tmp_path / "out", "--skip-broken", "--maps")
    result = invoke(*arguments, "--json-lines", "--device", "cpu")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["image"] for line in lines if "error" in line] == ["broken.png"]
    scored = [line for line in lines if "score" in line]
    table = (tmp_path / "out" / "scores.csv").read_text().splitlines()[1:]
    texts = [
        f"{line['image']},{line['score']:.9g},{line['p_value']:.6g},{line['verdict']}" for line in scored
    ]
    assert texts == table
    assert all(Path(line["map"]).is_file() for line in scored)
    assert "Scored" in result.stderr
    refused = invoke(*arguments, "--json-lines", "--json")
    assert refused.exit_code == 2
    assert "both print to standard output" in refused.stderr


def test_resume_takes_the_options_and_the_model_of_the_command(
    invoke, category, model_file, tmp_path, monkeypatch
):
    """Nothing to go on from: the run is a plain one; what is left of one with other options is refused."""
    runs = []
    monkeypatch.setattr(
        import_module("pni_fast.cli.score"), "identity", lambda *of: (runs.append(identity(*of)), runs[-1])[1]
    )
    arguments = ("score", model_file, category / "test", "-o", tmp_path / "out", "-q", "--device", "cpu")
    assert invoke(*arguments, "--resume").exit_code == 0
    other = tmp_path / "other.safetensors"
    assert invoke("threshold", model_file, "--at", 1, "-o", other, "-q").exit_code == 0
    assert (
        invoke(
            "score", other, *arguments[2:], "--resume", "--report", "--overlays", "--min-area", 7
        ).exit_code
        == 0
    )
    changed = {name for name in runs[0] if runs[0][name] != runs[1][name]}
    assert changed == {"model", "report", "overlays", "min_area"}
    left = tmp_path / "out" / ".pni-fast-abcdefgh"
    left.mkdir()
    (left / STATE).write_text(json.dumps({"model": "another"}))
    result = invoke(*arguments, "--resume")
    assert result.exit_code == 1
    assert "cannot resume: the run that was ended early is of another" in result.stderr


def test_the_command_goes_on_with_a_model_of_ours(invoke, category, model_file, tmp_path, monkeypatch):
    """Two good images, and two defective ones of which the second is to come."""
    arguments = (
        "score",
        model_file,
        category / "test",
        "-q",
        "--device",
        "cpu",
        "--overlays",
        "--report",
        "-o",
    )
    assert invoke(*arguments, tmp_path / "whole" / "out").exit_code == 0
    predict = PNI.predict

    def ended(model, *given, **options):
        yield from itertools.islice(predict(model, *given, **options), 3)
        raise PniError("out of power")

    with monkeypatch.context() as patched:
        patched.setattr(PNI, "predict", ended)
        assert invoke(*arguments, tmp_path / "out", "--resume").exit_code == 1
    assert (staging(tmp_path / "out") / "scores.csv").read_text().count("\n") == 4
    assert invoke(*arguments, tmp_path / "out", "--resume").exit_code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole" / "out")
