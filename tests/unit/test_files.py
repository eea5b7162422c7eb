from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pni_fast.errors import PniError
from pni_fast.runtime import targets
from pni_fast.runtime.files import (
    LEFTOVER_AGE,
    RESULTS_MARK,
    atomic_path,
    in_use,
    mark_results,
    remove_leftovers,
)
from pni_fast.runtime.targets import save_array, writing

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs file locks that end with the process")


def _aged(path):
    """Make `path` old enough to count as a leftover."""
    past = time.time() - 2 * LEFTOVER_AGE
    os.utime(path, (past, past))
    return path


def test_a_file_appears_whole_with_the_permissions_of_any_new_file(tmp_path, entries):
    with atomic_path(tmp_path / "new" / "model.pni") as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".pni"
        assert not (tmp_path / "new" / "model.pni").exists()
    assert entries(tmp_path) == ["new", "new/model.pni"]
    (tmp_path / "plain").touch()
    assert (tmp_path / "new" / "model.pni").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_keeps_the_file_of_an_earlier_run(tmp_path, entries):
    (tmp_path / "model.pni").write_text("old")

    def work():
        with atomic_path(tmp_path / "model.pni") as temporary:
            temporary.write_text("half")
            raise PniError

    with pytest.raises(PniError):
        work()
    assert (tmp_path / "model.pni").read_text() == "old"
    assert entries(tmp_path) == ["model.pni"]


@posix
def test_what_a_killed_process_left_is_removed_by_the_next_attempt(tmp_path, entries):
    target = tmp_path / "model.pni"
    code = (
        "import os, signal, sys; from pni_fast.runtime.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (leftover,) = tmp_path.iterdir()
    assert leftover.read_text() == "half"
    with atomic_path(target):
        assert leftover.exists(), "too young to be sure that its process is gone"
    _aged(leftover)
    with atomic_path(target):
        assert not leftover.exists()
    assert entries(tmp_path) == ["model.pni"]


@posix
def test_what_a_living_process_writes_is_not_removed(tmp_path):
    target = tmp_path / "model.pni"
    with atomic_path(target) as first:
        _aged(first)
        with atomic_path(target) as second:
            second.write_text("second")
        first.write_text("first")
    assert target.read_text() == "first"


def test_only_temporaries_of_the_same_file_are_leftovers(tmp_path, entries):
    names = [
        ".pni-fast-other-abcdefgh.pni",
        ".model-abcdefgh.pni",
        ".pni-fast-model-abcdefgh.csv",
        "model.pni",
    ]
    for name in names:
        (tmp_path / name).touch()
        _aged(tmp_path / name)
    with atomic_path(tmp_path / "model.pni"):
        pass
    assert entries(tmp_path) == sorted(names)


@posix
def test_a_leftover_folder_goes_with_all_it_holds(tmp_path, entries):
    folder = tmp_path / ".pni-fast-abcdefgh"
    (folder / "maps").mkdir(parents=True)
    (folder / "maps" / "0.npy").touch()
    _aged(folder)
    with in_use(folder) as marked:
        assert marked
        remove_leftovers(tmp_path, ".pni-fast-")
        assert folder.exists()
    remove_leftovers(tmp_path, ".pni-fast-")
    assert entries(tmp_path) == []


def write(path, text):
    with atomic_path(path) as temporary:
        temporary.write_text(text)


@posix
def test_what_is_no_regular_file_is_refused_and_never_replaced(tmp_path, entries):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "link").symlink_to("pipe")
    before = entries(tmp_path)
    for name, kind in (("pipe", "a pipe"), ("device", "a device"), ("link", "a pipe"), (".", "a folder")):
        with pytest.raises(PniError, match=f"cannot write: it is {kind}; give a file name"):
            write(tmp_path / name, "new")
    assert entries(tmp_path) == before
    assert (tmp_path / "pipe").is_fifo()


@posix
def test_links_are_followed(tmp_path):
    (tmp_path / "old").write_text("old")
    for link, target in (("latest", "old"), ("new-link", "deep/new"), ("twice", "latest")):
        (tmp_path / link).symlink_to(target)
        write(tmp_path / link, link)
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / target).read_text() == link
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PniError, match="loop: cannot write"):
        write(tmp_path / "loop", "x")


@posix
def test_a_file_written_again_keeps_its_mode(tmp_path):
    (tmp_path / "model").touch()
    (tmp_path / "model").chmod(0o640)
    write(tmp_path / "model", "new")
    assert (tmp_path / "model").stat().st_mode & 0o7777 == 0o640


@posix
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, type(tmp_path).replace

    def synced(handle):
        calls.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def renamed(self, target):
        calls.append("rename")
        return replace(self, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell which file was synced")
    monkeypatch.setattr(targets.os, "fsync", synced)
    monkeypatch.setattr(type(tmp_path), "replace", renamed)
    with atomic_path(tmp_path / "model") as temporary:
        name = str(temporary)
    assert calls == [name, "rename", str(tmp_path)]


@pytest.mark.parametrize("name", ["a" * 251 + ".pni", "é" * 125 + ".pni", "a." + "b" * 253])
def test_names_as_long_as_names_may_be(tmp_path, entries, name):
    write(tmp_path / name, "whole")
    assert entries(tmp_path) == [name]


def test_a_full_disk_is_one_line(tmp_path, entries):
    def work():
        with atomic_path(tmp_path / "model"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(PniError, match="model: cannot write: No space left on device"):
        work()
    assert entries(tmp_path) == []


def test_other_errors_stay_what_they_are(tmp_path):
    for error in (ZeroDivisionError(), PniError("x")):
        with pytest.raises(type(error)), writing(tmp_path):
            raise error


@posix
def test_an_array_on_a_full_disk_says_why(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(PniError, match=r"0.npy: cannot write: File too large"), writing("0.npy"):
            save_array(tmp_path / "0.npy", np.zeros(2000, np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    save_array(tmp_path / "1.npy", np.arange(5))
    assert np.load(tmp_path / "1.npy").tolist() == [0, 1, 2, 3, 4]


def test_the_mark_of_results(tmp_path, entries):
    mark_results(tmp_path)
    assert entries(tmp_path) == [RESULTS_MARK] == [".pni-fast-results"]
    with pytest.raises(PniError, match=r"shown/.pni-fast-results: cannot write"):
        mark_results(tmp_path / "nowhere", tmp_path / "shown")
