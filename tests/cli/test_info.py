from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from model_files import rewrite

COMMANDS = ("info", "score", "evaluate")


def test_the_installation(invoke):
    result = invoke("info", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["simd"]
    assert record["threads"] >= 1
    assert record["weights"]["lite"].endswith(": embedded")
    assert set(record) >= {"version", "python", "platform", "torch", "timm", "device"}
    lines = invoke("info").stdout.splitlines()
    assert lines[0].split() == ["version:", record["version"]]
    assert any(line.split() == ["simd:", record["simd"]] for line in lines)


def test_the_hub_has_weights_under_their_own_names():
    """So `info` finds them without importing timm."""
    import timm
    from pni_fast.cli.info import HUB
    from pni_fast.config.presets import PAPER_BACKBONES

    for name in PAPER_BACKBONES:
        assert timm.get_pretrained_cfg(name).hf_hub_id == f"{HUB}/{name}"


def test_threads_follow_the_environment_variable(starter):
    one = {"PNI_FAST_NUM_THREADS": "1"}
    found = starter.run("-m", "pni_fast.cli", "info", "--json", environment=one)
    assert json.loads(found.stdout)["threads"] == 1


def test_a_model(invoke, model_file):
    result = invoke("info", model_file, "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["file"] == str(model_file)
    assert record["bytes"] == model_file.stat().st_size
    assert (record["preset"], record["n_images"]) == ("lite", 4)
    assert record["config"]["position"] is True
    text = invoke("info", model_file).stdout
    assert f"{record['coreset']}" in text
    assert "position:" in text


def arguments(command, model, category, tmp_path):
    return {
        "info": ("info", model),
        "score": ("score", model, category / "test", "-o", tmp_path / "out"),
        "evaluate": ("evaluate", model, category, "-o", tmp_path / "out"),
    }[command]


def with_header(file, change):
    """Rewrite the header of a safetensors file: its length in eight bytes, then JSON."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header["__metadata__"])
    changed = json.dumps(header).encode()
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


def newer(metadata):
    record = json.loads(metadata["pni_fast"])
    record["format"] = 3
    metadata["pni_fast"] = json.dumps(record)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kept", [0, 4, 100, 100_000])
def test_a_truncated_model(refused, model_file, category, tmp_path, *, command, kept):
    model = tmp_path / "model.safetensors"
    model.write_bytes(model_file.read_bytes()[:kept])
    line = refused(*arguments(command, model, category, tmp_path))
    assert line.startswith(f"{model}: ")
    assert "truncated" in line
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_kind(refused, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_text("this was never a model, however long it goes on about being one")
    assert refused("info", model).startswith(f"{model}: ")


def test_a_foreign_safetensors_file(refused, tmp_path):
    model = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"weight": np.zeros(3, np.float32)}, model, metadata={"format": "pt"})
    line = refused("info", model)
    assert line.startswith(f"{model}: ")
    assert "truncated" not in line


def test_a_newer_model_asks_for_a_newer_version(refused, model_file, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(with_header(model_file, newer))
    line = refused("info", model)
    assert line.startswith(f"{model}: ")
    assert "model format 3" in line
    assert "newer" in line


def test_a_header_that_lost_a_setting(refused, model_file, tmp_path):
    def strip(metadata):
        metadata["pni_fast"] = json.dumps({"format": 1})

    model = tmp_path / "model.safetensors"
    model.write_bytes(with_header(model_file, strip))
    assert refused("info", model).startswith(f"{model}: ")


def test_a_missing_model_and_a_folder(refused, tmp_path):
    missing = tmp_path / "none.safetensors"
    assert refused("info", missing).startswith(f"{missing}: no such model file")
    assert refused("info", tmp_path).startswith(f"{tmp_path}: ")


def test_a_strangers_text_reaches_the_terminal_as_text(invoke, model_file, tmp_path):
    model = rewrite(
        model_file,
        tmp_path / "model.safetensors",
        lambda header, _: header.update(weights_source="\x1b]0;owned\x07\nversion: 9"),
    )
    result = invoke("info", model)
    assert result.exit_code == 0, result.stderr
    assert "?]0;owned??version: 9" in result.stdout
    assert "\x1b" not in result.stdout
