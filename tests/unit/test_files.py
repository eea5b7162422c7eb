from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from pni_fast.errors import PniError
from pni_fast.runtime.files import LEFTOVER_AGE, atomic_path, in_use, remove_leftovers

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
