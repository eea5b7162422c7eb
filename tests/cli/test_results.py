"""A folder of results holds one whole run, whatever ends the next one and wherever."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pni_fast.cli import interrupts, results
from pni_fast.cli.record import RECORD
from pni_fast.cli.results import ASIDE, staged_folder
from pni_fast.errors import PniError
from pni_fast.runtime.files import locked

TABLE, PARTS = "scores.csv", ("maps", "overlays")


def test_staged_files_appear_together_at_the_end(tmp_path, entries):
    output = tmp_path / "new" / "results"
    with staged_folder(output, TABLE, PARTS) as folder:
        (folder / "maps" / "good").mkdir(parents=True)
        (folder / "maps" / "good" / "0.npy").write_text("map")
        (folder / "scores.csv").write_text("table")
        assert not (output / "scores.csv").exists()
        assert not (output / "maps").exists()
    assert entries(output) == [RECORD, "maps", "maps/good", "maps/good/0.npy", "scores.csv"]


def test_existing_results_are_replaced_and_other_files_stay(tmp_path, entries):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "mine.txt").write_text("mine")
    (tmp_path / "scores.csv").write_text("image,score\nold,1\n")
    with staged_folder(tmp_path, TABLE, PARTS) as folder:
        (folder / "maps").mkdir()
        (folder / "maps" / "0.npy").write_text("map")
        (folder / "scores.csv").write_text("new")
    assert (tmp_path / "scores.csv").read_text() == "new"
    assert entries(tmp_path) == [RECORD, "maps", "maps/0.npy", "maps/mine.txt", "scores.csv"]


@pytest.mark.parametrize("failure", [PniError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing_behind(tmp_path, failure, entries):
    def work():
        with staged_folder(tmp_path / "a" / "b", TABLE, PARTS) as folder:
            (folder / "scores.csv").write_text("half")
            raise failure

    with pytest.raises(failure):
        work()
    assert entries(tmp_path) == []


def test_a_failure_keeps_the_results_of_an_earlier_run(tmp_path, entries):
    (tmp_path / "scores.csv").write_text("old")

    def work():
        with staged_folder(tmp_path, TABLE, PARTS) as folder:
            (folder / "scores.csv").write_text("half")
            raise PniError

    with pytest.raises(PniError):
        work()
    assert (tmp_path / "scores.csv").read_text() == "old"
    assert entries(tmp_path) == ["scores.csv"]


def test_a_folder_in_the_way_of_a_result_is_reported(tmp_path, entries):
    (tmp_path / "scores.csv").mkdir()

    def work():
        with staged_folder(tmp_path, TABLE, PARTS) as folder:
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


def run(folder: Path, name: str, *maps: str) -> None:
    """Write one run: the table says its name and its maps, each of which holds the run's name."""
    with staged_folder(folder, TABLE, PARTS) as staging:
        (staging / TABLE).write_text(" ".join([name, *maps]))
        for item in maps:
            (staging / "maps" / item).parent.mkdir(parents=True, exist_ok=True)
            (staging / "maps" / item).write_text(name)


def assert_whole(folder: Path, *, table: bool = True) -> str | None:
    """Check that the table's run and nothing else is there; return its name."""
    if not (folder / TABLE).exists():
        assert not table
        return None
    name, *maps = (folder / TABLE).read_text().split()
    found = {path.relative_to(folder / "maps").as_posix(): path for path in (folder / "maps").rglob("*")}
    files = {item: path for item, path in found.items() if path.is_file()}
    assert set(files) == set(maps)
    assert {path.read_text() for path in files.values()} == {name}
    return name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("fresh", [True, False])
def test_a_run_killed_at_any_step_mixes_nothing_and_is_undone_by_the_next(tmp_path, fresh, environment):
    """In a process of its own: a fork of one that holds torch takes several times as long."""
    code = (
        "import pathlib, sys, test_results; "
        f"test_results.killed_at_every_step(pathlib.Path(sys.argv[1]), fresh={fresh})"
    )
    path = os.pathsep.join((environment["PYTHONPATH"], str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def killed_at_every_step(tmp_path: Path, *, fresh: bool) -> None:
    """Each step ends a forked child; after it the table, if there is one, names exactly what is there."""
    os.fsync = lambda _: None
    for step in range(1, 500):
        folder = tmp_path / str(step)
        if not fresh:
            run(folder, "old", "a/0", "a/1", "b/0")
        child = os.fork()
        if not child:
            killed_at(step)
            run(folder, "new", "a/1", "c/0")
            os._exit(7)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if folder.exists():
            assert_whole(folder, table=False)
        if step % 2:  # the next run may fail too, once it has undone the one that was killed
            with pytest.raises(ZeroDivisionError), staged_folder(folder, TABLE, PARTS):
                raise ZeroDivisionError
            if not fresh:
                assert assert_whole(folder) in ("old", "new")
            elif folder.exists():
                assert_whole(folder, table=False)
        run(folder, "next", "a/0", "d/0")
        assert assert_whole(folder) == "next"
        assert not (folder / ASIDE).exists()
        if status == 7:
            assert step > 30
            return
    raise AssertionError("the run has more steps than were tried")


def killed_at(step: int) -> None:
    left = step

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            os._exit(1)

    def hook(event: str, _arguments: object) -> None:
        if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "open"):
            count()

    fsync = os.fsync
    os.fsync = lambda handle: (count(), fsync(handle))[1]
    sys.addaudithook(hook)


@pytest.mark.parametrize("moves", range(9))
def test_a_run_that_the_system_refuses_in_its_midst_leaves_the_old_one(tmp_path, monkeypatch, entries, moves):
    run(tmp_path, "old", "a/0", "a/1", "b/0")
    before = entries(tmp_path)
    move, done = results._move, []

    def failing(source: Path, target: Path) -> None:
        if len(done) == moves:
            done.append(None)
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(None)
        move(source, target)

    monkeypatch.setattr(results, "_move", failing)
    if moves < 7:  # three old maps and the table go, two new ones and the table come
        with pytest.raises(PniError, match=r"cannot write: No space left on device"):
            run(tmp_path, "new", "a/1", "c/0")
        assert assert_whole(tmp_path) == "old"
        assert entries(tmp_path) == before
    else:
        run(tmp_path, "new", "a/1", "c/0")
        assert assert_whole(tmp_path) == "new"


def test_a_folder_on_another_file_system_is_copied_into(tmp_path, monkeypatch):
    replace = Path.replace

    def across(self: Path, target: Path) -> Path:
        if (self.parent.name == "maps") != (target.parent.name == "maps") or self.parts[
            -3:-2
        ] != target.parts[-3:-2]:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    run(tmp_path, "old", "0", "1")
    run(tmp_path, "new", "1", "2")
    assert assert_whole(tmp_path) == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_second_writer_is_refused(tmp_path):
    with locked(tmp_path), pytest.raises(PniError, match="another pni-fast is writing there"):
        run(tmp_path, "second")
    run(tmp_path, "third")


def test_links_and_pipes_in_the_place_of_results_are_refused_before_the_work(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "maps").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PniError, match="out/maps: cannot write: it is a link"):
        run(folder, "run")
    (folder / "maps").unlink()
    os.mkfifo(folder / TABLE)
    with pytest.raises(PniError, match=r"out/scores.csv: cannot write: it is a pipe"):
        run(folder, "run")


def test_an_output_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "latest").symlink_to("run-1")
    run(tmp_path / "latest", "run", "0")
    assert (tmp_path / "latest").is_symlink()
    assert assert_whole(tmp_path / "run-1") == "run"


def test_files_written_again_keep_their_mode(tmp_path):
    run(tmp_path, "old", "0")
    for path in (tmp_path / TABLE, tmp_path / "maps" / "0"):
        path.chmod(0o640)
    run(tmp_path, "new", "0")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / TABLE, tmp_path / "maps" / "0")} == {0o640}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize(
    ("number", "ending"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_waits_until_the_run_is_in_place(tmp_path, monkeypatch, number, ending):
    handlers = {signal.SIGTERM: interrupts._terminate, signal.SIGINT: interrupts._interrupt}
    for name in ("_seen", "_terminated"):
        monkeypatch.setattr(interrupts, name, False)
    move = results._move

    def interrupted(source: Path, target: Path) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0)  # the handler runs
        move(source, target)

    run(tmp_path, "old", "0", "1")
    monkeypatch.setattr(results, "_move", interrupted)
    before = signal.signal(number, handlers[number])
    try:
        with pytest.raises(ending):
            run(tmp_path, "new", "1", "2")
    finally:
        signal.signal(number, before)
    assert assert_whole(tmp_path) == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_signal_during_the_cleaning_leaves_nothing(tmp_path, monkeypatch, entries):
    monkeypatch.setattr(interrupts, "_terminated", False)
    before = signal.signal(signal.SIGTERM, interrupts._terminate)
    rmtree = results.shutil.rmtree

    def interrupted(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # the handler runs
        rmtree(*arguments, **options)

    monkeypatch.setattr(results.shutil, "rmtree", interrupted)
    try:
        with pytest.raises(SystemExit), staged_folder(tmp_path / "new" / "out", TABLE, PARTS):
            raise ZeroDivisionError
    finally:
        signal.signal(signal.SIGTERM, before)
    assert entries(tmp_path) == []
