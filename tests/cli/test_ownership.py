"""Nothing of the user's, and nothing of another command's, is written over."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pni_fast.cli.kinds import MODEL
from pni_fast.cli.record import RECORD

NOT_OURS = "no earlier run of this command wrote it; move it, or give another folder"


@pytest.fixture
def photographs(tmp_path, category):
    folder = tmp_path / "photographs"
    shutil.copytree(category / "test" / "good", folder)
    return folder


def everything(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "mine", ["test/drawing/003.png", "ground_truth/draem/002_mask.png", "contact_sheet.png"]
)
def test_synthesize_writes_over_no_picture_of_the_users(refused, category, tmp_path, mine):
    output = tmp_path / "made"
    (output / mine).parent.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(output / mine)
    before = everything(output)
    arguments = ("synthesize", category, "-o", output, "--count", 8)
    assert refused(*arguments) == f"{output / mine}: cannot write: {NOT_OURS}"
    assert everything(output) == before
    (output / mine).unlink()


def test_synthesize_replaces_its_own_but_not_while_it_reads_them(invoke, category, tmp_path):
    output = tmp_path / "made"
    for count in (8, 4):
        assert invoke("synthesize", category, "-o", output, "--count", count).exit_code == 0
    assert len(list(output.glob("test/*/*.png"))) == 4
    before = everything(output)
    (output / "test" / "good").mkdir()
    result = invoke("synthesize", output / "test" / "draem", "-o", output)
    assert result.exit_code == 2
    assert "is an input" in result.stderr
    assert everything(output) == before


def test_score_writes_over_no_overlay_map_or_table_of_the_users(invoke, refused, model_file, photographs):
    for mine in ("scores.csv", "overlays/000.png", "maps/001.npy", "report.html", "summary.json"):
        output = photographs.parent / f"out-{mine.partition('/')[0]}"
        (output / mine).parent.mkdir(parents=True)
        (output / mine).write_text("mine")
        options = ("-o", output, "--maps", "--overlays", "--report", "--device", "cpu")
        assert (
            refused("score", model_file, photographs, *options)
            == f"{output / mine}: cannot write: {NOT_OURS}"
        )
        assert [path.read_text() for path in everything(output)] == ["mine"]
        (output / mine).unlink()
        for _ in range(2):  # its own are replaced
            assert invoke("score", model_file, photographs, *options).exit_code == 0


@pytest.mark.filterwarnings("ignore:.*were no images")
def test_pictures_in_a_folder_called_overlays_are_scored(invoke, model_file, photographs):
    (photographs / "overlays").mkdir()
    shutil.copy(photographs / "000.png", photographs / "overlays" / "mine.png")
    arguments = ("score", model_file, photographs, "-o", photographs, "--device", "cpu")
    assert "Scored 3 images" in invoke(*arguments).stdout
    # Its own overlays are not: their names are known, and a folder that it makes bears a mark.
    shutil.rmtree(photographs / "overlays")
    assert "Scored 2 images" in invoke(*arguments, "--overlays").stdout
    assert "Scored 2 images" in invoke(*arguments, "--overlays").stdout
    (photographs / "overlays" / ".pni-fast-results").unlink()
    assert "Scored 2 images" in invoke(*arguments).stdout


def test_one_report_belongs_to_one_command(invoke, refused, model_file, category, photographs, tmp_path):
    output = tmp_path / "out"
    score = ("score", model_file, photographs, "-o", output, "--device", "cpu")
    evaluate = ("evaluate", model_file, category, "-o", output, "--device", "cpu")
    assert invoke(*score, "--report").exit_code == 0
    line = refused(*evaluate)
    assert (
        line == f"{output / 'report.html'}: cannot write: it goes with scores.csv there; give another folder"
    )
    assert invoke(*score).exit_code == 0
    assert not (output / "report.html").exists()
    for _ in range(2):
        assert invoke(*evaluate).exit_code == 0
    page = (output / "report.html").read_bytes()
    assert invoke(*score).exit_code == 0
    assert (output / "report.html").read_bytes() == page
    assert refused(*score, "--report") == f"{output / 'report.html'}: cannot write: {NOT_OURS}"
    assert (output / "report.html").read_bytes() == page


def test_a_record_made_up_by_a_stranger_is_no_licence(refused, model_file, photographs, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "report.html").write_text("mine")
    (output / RECORD).write_text('{"metrics.json": [["x"], 3, "report.html"], "other": 5}')
    line = refused("score", model_file, photographs, "-o", output, "--report", "--device", "cpu")
    assert "it goes with metrics.json there" in line


@pytest.mark.parametrize(
    ("command", "table"), [("evaluate", "metrics.json"), ("compare", "changes.csv"), ("fit", "suspects.html")]
)
def test_a_table_of_the_users_is_left_and_one_of_ours_replaced(
    invoke, refused, model_file, category, photographs, tmp_path, command, table
):
    output = tmp_path / "out"
    output.mkdir()
    arguments = {
        "evaluate": (model_file, category, "-o", output, "--device", "cpu"),
        "compare": (model_file, model_file, photographs, "-o", output, "--device", "cpu"),
        "fit": (photographs, "-o", tmp_path / "model.safetensors", "--suspects", output, "--device", "cpu"),
    }[command]
    (output / table).write_text('{"name": "mine"}')
    assert refused(command, *arguments) == f"{output / table}: cannot write: {NOT_OURS}"
    assert (output / table).read_text() == '{"name": "mine"}'
    assert not (tmp_path / "model.safetensors").exists()
    (output / table).write_text("")  # nothing of anybody's
    for _ in range(2):
        assert invoke(command, *arguments).exit_code == 0
        (output / RECORD).unlink(missing_ok=True)
    assert (output / table).stat().st_size > 0


def test_models_and_masks_that_are_read_are_not_written(invoke, model_file, photographs, tmp_path):
    own = tmp_path / "own.safetensors"
    shutil.copy(model_file, own)
    (tmp_path / "link").symlink_to(own)
    mask = tmp_path / "roi.png"
    Image.new("L", (96, 96), 255).save(mask)
    before = own.read_bytes(), mask.read_bytes()
    for arguments in (
        ("threshold", own, "--false-alarms", 0.5, "-o", own),
        ("threshold", own, "--at", 3, "-o", tmp_path / "link"),
        ("update", own, photographs, "-o", own),
        ("fit", photographs, "--roi", mask, "-o", mask),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2, result.output
        assert "is an input" in result.stderr
    assert (own.read_bytes(), mask.read_bytes()) == before


def test_a_file_of_another_kind_is_not_taken_for_an_output(
    refused, model_file, category, photographs, tmp_path
):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    other = tmp_path / "photo.png"
    shutil.copy(photographs / "000.png", other)
    before = other.read_bytes()
    refined = tmp_path / "refined"
    refined.mkdir()
    shutil.copy(other, refined / model_file.name)
    commands = {
        "a model of pni-fast": [
            ("fit", photographs),
            ("threshold", model_file, "--at", 3),
            ("update", model_file, photographs),
        ],
        "a graph exported by pni-fast": [("export", model_file)],
        "a .npy file": [("coreset", tmp_path / "x.npy", "--size", 2)],
    }
    for kind, several in commands.items():
        for command in several:
            line = refused(*command, "-o", other)
            assert (
                line == f"{other}: cannot write: what is there is not {kind}; move it, or give another file"
            )
    line = refused("refine", category, "--models", model_file, "-o", refined)
    assert line.startswith(f"{refined / model_file.name}: cannot write: what is there is not a model")
    assert other.read_bytes() == before == (refined / model_file.name).read_bytes()


def test_a_file_of_the_kind_is_replaced(invoke, model_file, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    released = Path(__file__).parents[1] / "files"
    for command in (
        ("threshold", released / "format1-both.safetensors", "--at", 3),
        ("threshold", model_file, "--at", 3),
        ("coreset", tmp_path / "x.npy", "--size", 2),
        ("export", released / "format1-penalty.safetensors"),
    ):
        output = tmp_path / command[0]
        if not output.exists():
            output.touch()
        for _ in range(2):
            assert invoke(*command, "-o", output).exit_code == 0
    for model in released.glob("*.safetensors"):
        assert MODEL.has(model)


@pytest.mark.parametrize("area", ["nan", "inf"])
def test_an_area_is_a_number(invoke, model_file, photographs, tmp_path, area):
    result = invoke("score", model_file, photographs, "-o", tmp_path / "out", "--min-area", area)
    assert result.exit_code == 2
    assert "must be a finite number" in result.stderr


def test_an_overlap_needs_tiles(invoke, photographs, tmp_path):
    result = invoke("fit", photographs, "-o", tmp_path / "model", "--overlap", 32)
    assert result.exit_code == 2
    assert "--overlap needs --tile" in result.stderr


@pytest.mark.parametrize(("name", "value"), [("PNI_FAST_NUM_THREADS", "0"), ("PNI_FAST_SIMD", "foo")])
def test_a_wrong_variable_is_one_line(refused, tmp_path, monkeypatch, name, value):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    monkeypatch.setenv(name, value)
    assert refused("info").startswith(f"{name} must be ")
    assert refused("coreset", tmp_path / "x.npy", "--size", 2, "-o", tmp_path / "i.npy").startswith(
        f"{name} must"
    )


def test_a_folder_of_the_users_may_have_any_name(invoke, model_file, photographs, tmp_path):
    (tmp_path / "out" / "scores").mkdir(parents=True)
    (tmp_path / "out" / "scores" / "mine").write_text("mine")
    result = invoke("score", model_file, photographs, "-o", tmp_path / "out", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "out" / "scores" / "mine").read_text() == "mine"


def test_a_circle_of_links_is_a_broken_image(refused, model_file, tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    line = refused("score", model_file, tmp_path / "loop.png", "-o", tmp_path / "out", "--device", "cpu")
    assert line.startswith(f"{tmp_path / 'loop.png'}: cannot be read as an image")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_empty_path_is_not_the_current_folder(invoke, model_file, photographs, tmp_path, place):
    paths = [model_file, photographs, tmp_path / "out"]
    paths[place] = ""
    result = invoke("score", *paths[:2], "-o", paths[2])
    assert result.exit_code == 2
    assert "must be a path, got an empty text" in " ".join(result.stderr.split())


def test_a_share_of_a_gpu_is_a_number(invoke, model_file, photographs, tmp_path):
    ray = ("--ray", "auto", "--gpus-per-worker", "nan")
    result = invoke("score", model_file, photographs, "-o", tmp_path / "out", *ray)
    assert result.exit_code == 2
    assert "must be a finite number" in " ".join(result.stderr.split())
