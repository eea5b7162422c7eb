"""Outputs looked at before the work."""

from __future__ import annotations

import os
import shutil

import click
import pytest
from pni_fast.cli.outputs import check_folder, check_room, check_writable, refuse_inputs, refuse_same
from pni_fast.errors import PniError


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("path", ["/dev/null", "pipe", "link"])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    target = tmp_path / path
    with pytest.raises(PniError, match=r": cannot write: it is a (pipe|device); give a file name"):
        check_writable(target)


def test_a_name_longer_than_names_may_be_is_refused_before_the_work(tmp_path):
    with pytest.raises(PniError, match=r"cannot write: .*name too long"):
        check_writable(tmp_path / ("a" * 300))


def test_room_is_looked_at(tmp_path, entries, small_files):
    check_writable(tmp_path / "model", 32)
    with small_files(), pytest.raises(PniError, match=r"model: cannot write: .*: File too large"):
        check_writable(tmp_path / "model", 1 << 20)
    assert entries(tmp_path) == []


def test_files_on_one_disk_share_its_room(tmp_path, monkeypatch, small_files):
    usage = shutil.disk_usage(tmp_path)._replace(free=3 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    files = [(tmp_path / "new" / "model", 2 << 20), (tmp_path / "checkpoint", 1 << 20)]
    check_room(files)
    line = r"new/model: cannot write: 4.0 MiB may be needed, got 3.0 MiB free in "
    with pytest.raises(PniError, match=line):
        check_room([*files, files[1]])
    line = r"model: cannot write: it may need 2.0 MiB, got 0.0 MiB as the largest file allowed"
    with small_files(), pytest.raises(PniError, match=line):
        check_room(files)


def test_check_folder_names_the_folder(tmp_path, entries):
    check_folder(tmp_path / "a" / "b")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(PniError, match="file: cannot write: it is a file; give a folder"):
        check_folder(file)
    with pytest.raises(PniError, match="file/below: cannot write"):
        check_folder(file / "below")
    assert entries(tmp_path) == ["file"]


def test_an_output_that_is_an_input_is_wrong_usage_by_whatever_name(tmp_path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    image = tmp_path / "data" / "sub" / "0.png"
    image.write_text("image")
    names = [image, tmp_path / "link", tmp_path / "hard", tmp_path / "data" / ".." / "data" / "sub" / "0.png"]
    names[1].symlink_to(image)
    names[2].hardlink_to(image)
    for name in names:
        for given in (image, tmp_path / "data"):
            with pytest.raises(click.UsageError, match=r"--output: .* is an input"):
                refuse_inputs("--output", name, [None, given])
    refuse_inputs("--output", tmp_path / "new", [tmp_path / "data"])
    refuse_inputs("--output", tmp_path / "hard", [tmp_path / "nowhere"])
    (tmp_path / "data" / "model.safetensors").write_text("a model fitted before, kept beside its images")
    refuse_inputs("--output", tmp_path / "data" / "model.safetensors", [tmp_path / "data"])
    with pytest.raises(click.UsageError, match="must name different files"):
        refuse_same("--checkpoint", tmp_path / "link", "--output", image)
