"""What `score` writes, with a model that costs nothing: names, room, a second run in place of the first."""

from __future__ import annotations

import csv
import json
import os
import shutil
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from pni_fast.cli.names import cell, keeps_suffixes, result_name
from pni_fast.cli.record import RECORD
from pni_fast.cli.scores import earlier_files
from pni_fast.cli.scoring import score_images
from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.errors import PniError
from pni_fast.runtime.files import RESULTS_MARK


def rows(folder):
    with (folder / "scores.csv").open(newline="") as stream:
        table = list(csv.reader(stream))
    assert table[0] == ["image", "score", "p_value", "verdict"]
    return {name: float(value) for name, value, *_ in table[1:]}


@dataclass
class CountedPrediction:
    """A prediction whose arrays the test can watch."""

    path: Source
    anomaly_map: np.ndarray
    score: float = 1.0
    image: np.ndarray = field(default_factory=lambda: np.zeros((4, 4, 3), np.uint8))
    p_value: float | None = None
    is_defective: bool | None = None

    @property
    def name(self):
        return self.path.name


class WatchedModel:
    """Yields predictions, and records how many earlier maps are still alive at each."""

    normalization_ = (0.0, 1.0)
    geometry = Geometry(resize=8, crop=8)
    decision_ = None

    def __init__(self):
        self.alive = []
        self.skipped_ = []

    def predict(self, paths, **_):
        maps = []
        for path in paths:
            self.alive.append(sum(reference() is not None for reference in maps))
            prediction = CountedPrediction(path, np.ones((4, 4), np.float32))
            maps.append(weakref.ref(prediction.anomaly_map))
            yield prediction
            del prediction


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    model = WatchedModel()
    found = [(Path(f"{index}.png"), f"{index}.png") for index in range(20)]
    run = score_images(model, found, tmp_path / "out", maps=True, quiet=True)
    assert run.images == 20
    assert max(model.alive) <= 1


@pytest.mark.parametrize("score", [0.1, 1e-30, 123456.789, 16777216.0])
def test_the_table_holds_float32_scores_exactly(tmp_path, score):
    class Model(WatchedModel):
        def predict(self, paths, **_):
            for path in paths:
                yield CountedPrediction(path, np.ones((2, 2), np.float32), float(np.float32(score)))

    score_images(Model(), [(Path("a.png"), 'a, "b".png')], tmp_path / "out", quiet=True)
    assert {name: np.float32(value) for name, value in rows(tmp_path / "out").items()} == {
        'a, "b".png': np.float32(score)
    }


def score(output, *names, **options):
    found = [(Path(name), name) for name in names]
    return score_images(WatchedModel(), found, output, quiet=True, **options)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_second_run_takes_the_place_of_the_first_and_what_is_the_users_stays(tmp_path):
    score(tmp_path / "out", "a/0.png", "b/1.png", maps=True, overlays=True)
    (tmp_path / "out" / "maps" / "a" / "mine.npy").write_text("mine")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    score(tmp_path / "out", "a/2.png", maps=True)
    mine = ["maps/a/mine.npy", "notes.txt"]
    ours = [RECORD, RESULTS_MARK, f"maps/{RESULTS_MARK}", "maps/a/2.npy", "scores.csv", "summary.json"]
    assert files(tmp_path / "out") == sorted(mine + ours)
    assert not (tmp_path / "out" / "overlays").exists()
    score(tmp_path / "out", "a/2.png")
    assert files(tmp_path / "out") == sorted([*mine, RECORD, RESULTS_MARK, "scores.csv", "summary.json"])


def test_what_an_older_version_left_is_known_by_its_table(tmp_path):
    score(tmp_path, "a/0.png", "1.png", maps=True, overlays=True)
    for path in (tmp_path / RECORD, *tmp_path.rglob(RESULTS_MARK)):
        path.unlink()
    (tmp_path / "maps" / "mine.npy").write_text("mine")
    score(tmp_path, "2.png")
    assert files(tmp_path) == ["maps/mine.npy", "scores.csv", "summary.json"]
    assert list(earlier_files(tmp_path / "nowhere")) == []


def test_the_run_after_a_first_one_that_was_killed_marks_the_folder(tmp_path):
    for name in ("results-of-mine", ".pni-fast-abcdefgh"):
        (tmp_path / "out" / name).mkdir(parents=True)
        score(tmp_path / "out", "0.png", overlays=True)
        assert (tmp_path / "out" / RESULTS_MARK).exists() is name.startswith(".")
        shutil.rmtree(tmp_path / "out")


def test_a_folder_that_holds_what_is_not_ours_is_not_marked_itself(tmp_path):
    (tmp_path / "0.png").touch()
    score(tmp_path, "0.png", overlays=True)
    assert not (tmp_path / RESULTS_MARK).exists()
    assert (tmp_path / "overlays" / RESULTS_MARK).exists()


def test_a_record_made_up_by_a_stranger_removes_nothing_of_the_users(tmp_path):
    output = tmp_path / "out"
    score(output, "0.png", maps=True)
    kept = [tmp_path / "outside", output / "photo.png", output / "sub" / "x"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (output / "maps" / "link").symlink_to(tmp_path)
    named = [
        "../outside",
        str(tmp_path / "outside"),
        "photo.png",
        "sub/x",
        "maps/link/outside",
        3,
        "",
        "maps",
    ]
    for record in ({"scores.csv": named}, {"scores.csv": 5}, [1]):
        (output / RECORD).write_text(json.dumps(record))
        score(output, "0.png")
        assert all(path.read_text() == "mine" for path in kept)


@pytest.mark.parametrize("name", ["/x.png", "../../x.png", "a/../../x.png", "//x.png"])
def test_no_result_lies_outside_the_output(tmp_path, name):
    output = tmp_path / "deep" / "out"
    score(output, name, "dir/x.png", "x.png", maps=True)
    assert len(list((output / "maps").rglob("*.npy"))) == 3
    assert [path.name for path in tmp_path.rglob("*.npy") if output not in path.parents] == []


@pytest.mark.parametrize("character", ["a", "é", "螺"])
def test_a_name_as_long_as_names_may_be_gets_a_suffix(tmp_path, character):
    stem = character * (251 // len(character.encode()))
    names = [f"{stem}.png", f"{stem}.bmp"]
    score(tmp_path, *names, maps=True, overlays=True)
    for folder in ("maps", "overlays"):
        assert len(files(tmp_path / folder)) == 3
    assert len(os.fsencode(result_name(names[0], ".npy", keep_suffix=True))) <= 255


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A0.png", "+1.png", "-1.png", "@sum.png", "'quoted.png"])
def test_no_name_is_a_formula_in_the_table(tmp_path, name):
    score(tmp_path, name, "plain.png")
    assert list(rows(tmp_path)) == ["'" + name, "plain.png"]
    assert cell("plain") == "plain"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_an_end_of_line_in_a_name_ends_no_row(tmp_path, end):
    name = f"a{end}b, c.png"
    score(tmp_path, name, "plain.png")
    assert list(rows(tmp_path)) == [name, "plain.png"]
    lines = (tmp_path / "scores.csv").read_bytes().replace(name.encode(), b"name").splitlines()
    assert lines == [b"image,score,p_value,verdict", b'"name",1,,', b"plain.png,1,,"]


def test_room_for_all_maps_is_looked_at_with_the_first(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=(128 + 4 * 16) * 3 - 1)  # a head, and 4 × 4 numbers
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    score(tmp_path / "few", *(f"{number}.png" for number in range(3)), maps=True)
    with pytest.raises(PniError, match=r"out/maps: cannot write: 3 more maps need 0 MiB, got 0 MiB free"):
        score(tmp_path / "out", *(f"{number}.png" for number in range(4)), maps=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{}, {"maps": True}, {"overlays": True}])
def test_a_disk_that_is_full_is_one_line_that_names_the_file(tmp_path, options, small_files):
    line = r"out/(scores.csv|maps/.*npy|overlays/.*png): cannot write: File too large"
    with small_files(), pytest.raises(PniError, match=line):
        score(tmp_path / "out", *(f"{number}.png" for number in range(300)), **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["good/000.png", "bad/000.png"], False),
        (["000.png", "001.png"], False),
        (["000.png", "000.jpg"], True),
        (["good/A.png", "good/a.jpg"], True),
        ([], False),
    ],
)
def test_suffixes_are_kept_only_where_names_would_collide(names, expected):
    assert keeps_suffixes(names) is expected
