"""Tensors from a stranger: held to what the file says of them; and a loaded model is free of its file."""

import math
import os
import struct

import pytest
import torch
from model_files import BOTH, ENSEMBLE, PENALTY, REFINED, refusal, rewrite
from pictures import texture
from pni_fast import PNI, PniError


def put(name, value):
    def change(_, tensors):
        tensors[name].reshape(-1)[0] = value

    return change


def turn(name, *axes):
    def change(_, tensors):
        tensors[name] = tensors[name].permute(*axes).contiguous()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("groups", -1), "groups must be"),
        (put("groups", 10**9), "groups must be"),
        (put("coreset", math.nan), "'coreset' holds values that are not finite"),
        (put("coreset", math.inf), "'coreset' holds values that are not finite"),
        (put("coreset", 1e30), "coreset must hold numbers up to"),
        (put("position", -0.5), "position must hold probabilities"),
        (put("position", math.nan), "'position' holds values that are not finite"),
        (put("neighborhood.first.weight", math.nan), "'neighborhood.first.weight' holds values"),
        (put("backbone.conv_stem.weight", math.inf), "'backbone.conv_stem.weight' holds values"),
        (put("backbone.bn1.running_var", -1.0), "must hold variances"),
        (turn("coreset", 1, 0), "must have shape"),
        (turn("position", 2, 0, 1), "must have shape"),
        (turn("neighborhood.first.weight", 1, 0), "must have shape"),
        (turn("backbone.conv_stem.weight", 1, 0, 2, 3), "must have shape"),
        (lambda _, tensors: tensors.update(coreset=tensors["coreset"].double()), "of float32"),
        (lambda _, tensors: tensors.update(groups=tensors["groups"].float()), "of int64"),
        (lambda _, tensors: tensors.update(coreset=tensors["coreset"][:0]), "none of them empty"),
        (lambda _, tensors: tensors.update(groups=tensors["groups"][1:]), "must have shape"),
        (lambda _, tensors: tensors.update(extra=torch.zeros(3)), "'extra' belongs to nothing"),
        (lambda _, tensors: tensors.pop("position"), "'position' is missing"),
    ],
)
def test_tensors_are_held_to_what_the_file_says(tmp_path, change, message):
    assert message in refusal(rewrite(BOTH, tmp_path / "m.safetensors", change))


@pytest.mark.parametrize("source", [BOTH, PENALTY, REFINED, ENSEMBLE])
def test_weights_that_lead_to_no_number_are_refused(tmp_path, source):
    """All finite, so that only scoring shows it."""

    def change(_, tensors):
        for name, tensor in tensors.items():
            if name.endswith("conv_stem.weight"):
                tensor.fill_(1e38)

    model = PNI.load(rewrite(source, tmp_path / "m.safetensors", change), device="cpu")
    with pytest.raises(PniError, match="the model gives no finite scores"):
        model.score_samples([texture(50)])


@pytest.mark.parametrize("pad", [1, 2, 5, 7])
def test_tensors_that_are_not_aligned_load(tmp_path, pad):
    content = REFINED.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    moved = struct.pack("<Q", length + pad) + content[8 : 8 + length] + b" " * pad + content[8 + length :]
    (tmp_path / "m.safetensors").write_bytes(moved)
    expected = PNI.load(REFINED, device="cpu").score_samples([texture(50)])
    scores = PNI.load(tmp_path / "m.safetensors", device="cpu").score_samples([texture(50)])
    assert scores.tobytes() == expected.tobytes()


@pytest.mark.parametrize("after", ["overwritten", "cut", "removed"])
def test_a_loaded_model_does_not_depend_on_its_file(tmp_path, after):
    file = tmp_path / "m.safetensors"
    file.write_bytes(BOTH.read_bytes())
    expected = PNI.load(file, device="cpu").score_samples([texture(50)])
    model = PNI.load(file, device="cpu")
    if after == "overwritten":
        with file.open("r+b") as opened:
            opened.write(os.urandom(file.stat().st_size))
    elif after == "cut":
        os.truncate(file, 100)
    else:
        file.unlink()
    assert model.score_samples([texture(50)]).tobytes() == expected.tobytes()


def test_networks_that_hold_more_than_a_file_are_built():
    """Some make tables from their shape that no file has: they must not be left without memory."""
    from pni_fast.model.file.shapes import filled as filled_with

    class WithTable(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(2))
            self.register_buffer("table", torch.arange(3.0), persistent=False)

    with torch.device("meta"):
        network = WithTable()
    filled = filled_with(network, WithTable, {"weight": torch.ones(2)})
    assert filled.table.tolist() == [0, 1, 2]
    assert filled.weight.tolist() == [1, 1]
    assert not filled.training
    assert not filled.weight.requires_grad
