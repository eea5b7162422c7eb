from __future__ import annotations

import pytest
from pni_fast.cli.outputs import check_writable
from pni_fast.cli.results import staged_folder
from pni_fast.cli.scores import keeps_suffixes
from pni_fast.errors import PniError


def test_staged_files_appear_together_at_the_end(tmp_path, entries):
    output = tmp_path / "new" / "results"
    with staged_folder(output) as folder:
        (folder / "maps" / "good").mkdir(parents=True)
        (folder / "maps" / "good" / "0.npy").write_text("map")
        (folder / "scores.csv").write_text("table")
        assert not (output / "scores.csv").exists()
        assert not (output / "maps").exists()
    assert entries(output) == ["maps", "maps/good", "maps/good/0.npy", "scores.csv"]


def test_existing_results_are_replaced_and_other_files_stay(tmp_path, entries):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "mine.txt").write_text("mine")
    (tmp_path / "scores.csv").write_text("old")
    with staged_folder(tmp_path) as folder:
        (folder / "maps").mkdir()
        (folder / "maps" / "0.npy").write_text("map")
        (folder / "scores.csv").write_text("new")
    assert (tmp_path / "scores.csv").read_text() == "new"
    assert entries(tmp_path) == ["maps", "maps/0.npy", "maps/mine.txt", "scores.csv"]


@pytest.mark.parametrize("failure", [PniError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing_behind(tmp_path, failure, entries):
    def work():
        with staged_folder(tmp_path / "a" / "b") as folder:
            (folder / "scores.csv").write_text("half")
            raise failure

    with pytest.raises(failure):
        work()
    assert entries(tmp_path) == []


def test_a_failure_keeps_the_results_of_an_earlier_run(tmp_path, entries):
    (tmp_path / "scores.csv").write_text("old")

    def work():
        with staged_folder(tmp_path) as folder:
            (folder / "scores.csv").write_text("half")
            raise PniError

    with pytest.raises(PniError):
        work()
    assert (tmp_path / "scores.csv").read_text() == "old"
    assert entries(tmp_path) == ["scores.csv"]


def test_a_folder_in_the_way_of_a_result_is_reported(tmp_path, entries):
    (tmp_path / "scores.csv").mkdir()

    def work():
        with staged_folder(tmp_path) as folder:
            (folder / "scores.csv").write_text("new")

    with pytest.raises(PniError, match="cannot write"):
        work()
    assert entries(tmp_path) == ["scores.csv"]


def test_output_that_is_a_file_or_lies_below_one_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(PniError, match="it is a file; give a folder"), staged_folder(file):
        pass
    with pytest.raises(PniError, match="cannot write"), staged_folder(file / "below"):
        pass


def test_check_writable_accepts_a_new_nested_path_and_creates_nothing(tmp_path, entries):
    check_writable(tmp_path / "a" / "b" / "model.safetensors")
    assert entries(tmp_path) == []


def test_check_writable_refuses_a_folder_and_a_path_below_a_file(tmp_path):
    with pytest.raises(PniError, match="it is a folder; give a file name"):
        check_writable(tmp_path)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(PniError, match=r"file.model: cannot write"):
        check_writable(file / "model")


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
