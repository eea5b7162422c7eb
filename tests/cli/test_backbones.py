"""Backbones of four families from the command line: fitted, saved, loaded and scored by every engine."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from pni_fast import PNI
from pni_fast.config.families import FAMILIES
from pni_fast.features.families import without_values

FITTED = {
    "test_resnet": (),
    "test_convnext": (),
    "swin_tiny_patch4_window7_224": ("--levels", "4,8"),
    "test_vit2": ("--levels", "1,3,5", "--set", "patch=1"),  # with a register
}


@pytest.fixture(scope="module", params=FITTED)
def fitted(request, shared_category, tmp_path_factory):
    """Return the file of a model with random weights, fitted by the command, and the category."""
    from pni_fast.cli.application import application

    name, folder = request.param, tmp_path_factory.mktemp("backbones")
    with without_values():
        network = timm.create_model(name)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not key.startswith(
            ("layers.2", "layers.3", "head")
        ):  # Swin's are large
            state[key] = torch.empty(value.shape).normal_(0.0, 0.1, generator=generator)
            if key.endswith("running_var"):
                state[key].abs_().add_(0.1)
    weights, model = folder / "weights.safetensors", folder / "model.safetensors"
    safetensors.torch.save_file(state, weights)
    size = ["--set", "resize=96", "--set", "crop=96", "--device", "cpu", "--threads", "2", "--quiet"]
    arguments = [
        "fit",
        shared_category,
        "-o",
        model,
        "--backbone",
        name,
        "--weights",
        weights,
        *FITTED[name],
        *size,
    ]
    application.main([*map(str, arguments)], standalone_mode=False)
    return model, shared_category / "test"


def test_four_families_by_every_engine_and_thread(fitted):
    model, images = fitted
    expected = PNI.load(model, device="cpu", engine="torch", num_threads=1).score_samples(images)
    assert np.isfinite(expected).all()
    assert expected.std() > 0
    for engine in ("openvino", "onnxruntime"):
        found = [
            PNI.load(model, device="cpu", engine=engine, num_threads=threads).score_samples(images)
            for threads in (1, 2)
        ]
        assert (found[0] == found[1]).all()
        np.testing.assert_allclose(found[0], expected, rtol=1e-3)


SCORED = """
import sys
from pni_fast import PNI
scores = PNI.load(sys.argv[1], device="cpu", num_threads=1).score_samples(sys.argv[2])
assert len(scores) == 4
assert not {"torch", "timm"} & set(sys.modules)
"""


@pytest.mark.parametrize("fitted", ["test_vit2"], indirect=True)
def test_a_transformer_scores_without_torch(fitted, environment):
    command = [sys.executable, "-c", SCORED, *map(str, fitted)]
    assert subprocess.run(command, env=environment, check=False).returncode == 0


def test_families_are_listed(invoke):
    lines = invoke("info", "--backbones").stdout.splitlines()
    assert "  strides 4, 8, 16, 32; default --levels 8,16; crops fit at multiples of 32" in lines
    assert (
        "  blocks 0 to 11; default --levels 2,5,8,11, each with norm 1; crops fit at multiples of 14" in lines
    )
    rows = json.loads(invoke("info", "--backbones", "--json").stdout)["backbones"]
    assert [row["example"] for row in rows] == [family.example for family in FAMILIES]


def test_one_backbone_is_shown(invoke, refused):
    shown = json.loads(invoke("info", "--backbone", "test_vit2", "--json").stdout)
    assert shown["available"] == list(range(8))
    assert (shown["levels"], shown["default"], shown["multiple"]) == ("blocks", [1, 3, 5, 7], 16)
    assert "got 'nonesuch'" in refused("info", "--backbone", "nonesuch")
    assert invoke("info", "--backbones", "--backbone", "resnet18").exit_code == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ("--backbone", "resnet18", "--levels", "8,12"),
            "must be strides of resnet18, 2, 4, 8, 16, 32, got 12",
        ),
        (("--backbone", "test_vit2", "--levels", "8"), "must be blocks of test_vit2, 0 to 7, got 8"),
        (
            ("--backbone", "test_vit2", "--set", "crop=100"),
            "the nearest that it takes are 96 x 96 and 112 x 112",
        ),
        (
            ("--levels", "16,8"),
            "levels must be at most 64 different whole numbers from 0 up, in order, got 16, 8",
        ),
        (("--backbone", "hf-hub:x"), "must be hf-hub:OWNER/NAME or a timm name, got 'hf-hub:x'"),
    ],
)
def test_what_no_backbone_takes(refused, shared_category, tmp_path, given, told):
    assert told in refused("fit", shared_category, "-o", tmp_path / "model.safetensors", *given)


def test_levels_that_are_no_numbers(invoke, shared_category, tmp_path):
    result = invoke("fit", shared_category, "-o", tmp_path / "model.safetensors", "--levels", "8,x")
    assert result.exit_code == 2
    assert "such as 8,16, got '8,x'" in result.stderr
