"""Whoever builds settings, a caller, a command line or a model file, is held to the same rules."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from model_files import rewrite
from pni_fast import ModelFileError, PniError
from pni_fast.config import PRESETS, RULES, Config, Geometry, MLPConfig, RefinerConfig, preset
from pni_fast.config.choices import METRICS

WRONG = {
    "rule": ("softmin", "rule must be one of average, both, scores, penalty, blend, got 'softmin'"),
    "sigma": (-3, "sigma must be at least 0 and finite, got -3.0"),
    "coreset_ratio": (0, r"coreset_ratio must be in \(0, 1\], got 0.0"),
    "crop": (700, "crop must be between 1 and resize = 512, got 700"),
    "patch": (2, "patch must be a positive odd number, got 2"),
    "neighborhood_size": (-9, "neighborhood_size must be a positive odd number, got -9"),
    "dimension": (0, "dimension must be at least 1, got 0"),
    "distribution_size": (1.5, "distribution_size must be a whole number, got 1.5"),
    "likelihood_lambda": (float("nan"), "likelihood_lambda must be at least 0 and finite, got nan"),
    "seed": (-1, "seed must be at least 0, got -1"),
    "position": ("yes", "position must be yes or no, got 'yes'"),
    "preset": (3, "preset must be a text, got 3"),
    "backbone": ((), "backbone must name at least one timm model, got none"),
    "mlp": (None, "mlp must be a MLPConfig, got None"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_value_is_refused_wherever_settings_are_built(name):
    value, message = WRONG[name]
    with pytest.raises(PniError, match=f"^{message}$"):
        Config(**{name: value})
    with pytest.raises(PniError, match=f"^{message}$"):
        replace(PRESETS["lite"], **{name: value})


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"mlp"}))
def test_a_wrong_value_in_stored_settings_is_refused(name):
    value, message = WRONG[name]
    stored = PRESETS["lite"].as_dict() | {name: list(value) if isinstance(value, tuple) else value}
    with pytest.raises(PniError, match=f"^{message}$"):
        Config.from_dict(stored)


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("mlp", "layers", 1, "mlp.layers must be at least 2, got 1"),
        ("mlp", "gamma", "fast", "mlp.gamma must be a number, got 'fast'"),
        ("mlp", "fit_temperature", 1, "mlp.fit_temperature must be yes or no, got 1"),
        ("refiner", "ratio", 1.5, "refiner.ratio must be in [0, 1], got 1.5"),
        ("refiner", "widths", [48], "refiner.widths must name 4 blocks, one for each level, got 1"),
        (
            "refiner",
            "levels",
            ["0", 1, 2, 3],
            "refiner.levels must be whole numbers with commas between them",
        ),
        ("refiner", "rotation", -1, "refiner.rotation must be at least 0 and finite, got -1.0"),
        ("refiner", "encoder", None, "refiner.encoder must be a text, got None"),
    ],
)
def test_a_wrong_value_in_a_stored_part_is_named_with_its_part(part, name, value, message):
    stored = PRESETS["lite"].as_dict()
    stored[part] |= {name: value}
    with pytest.raises(PniError) as refused:
        Config.from_dict(stored)
    assert str(refused.value).startswith(message)


HIGH = {
    Config: {
        "resize": 100_000,
        "patch": 257,
        "neighborhood_size": 20_001,
        "dimension": 10**6,
        "distribution_size": 2**31,
        "sigma": 1e6,
        "likelihood_lambda": 1e30,
        "seed": 2**63,
    },
    MLPConfig: {"layers": 100_000, "width": 10**6, "temperature": 1e30, "reduce": 2**40, "shards": 2**31},
    RefinerConfig: {
        "widths": (10**6,) * 4,
        "levels": (0, 1, 2, 99),
        "side": 10**6,
        "iterations": 10**10,
        "batch": 10**10,
    },
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in HIGH for name in HIGH[kind]])
def test_what_no_machine_can_work_with_is_refused(kind, name):
    with pytest.raises(PniError, match=rf"^{name} must be at most [\d.e+]+, got "):
        kind(**{name: HIGH[kind][name]})


def test_a_number_beyond_every_float_is_refused():
    with pytest.raises(PniError, match=r"^sigma must be a number below 1e308, got one of 401 digits$"):
        Config(sigma=10**400)


@pytest.mark.parametrize(
    "name", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:/tmp", "/tmp/x", "a b", "x" * 101, ".."]
)
def test_a_place_is_no_name_of_a_network(name):
    with pytest.raises(PniError, match=r"^backbone must be the name of a timm model, letters, digits"):
        Config(backbone=name)
    with pytest.raises(PniError, match=r"^encoder must be the name of a timm model, letters, digits"):
        RefinerConfig(encoder=name)
    with pytest.raises(PniError, match=r"^backbone must name at most 64 timm models, got 65$"):
        Config(backbone=("resnet18",) * 65)


@pytest.mark.parametrize("name", list(PRESETS))
def test_stored_settings_come_back_as_they_were(name):
    import json

    config = PRESETS[name]
    assert Config.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_a_whole_number_serves_as_a_number():
    assert Config(sigma=4).sigma == 4.0
    assert isinstance(Config(sigma=4).sigma, float)
    assert Config(backbone=("a",)).backbone == Config(backbone="a").backbone == "a"


@pytest.mark.parametrize("kind", [Config, MLPConfig, RefinerConfig, Geometry])
def test_booleans_are_no_numbers(kind):
    for item in fields(kind):
        if isinstance(item.default, int) and not isinstance(item.default, bool):
            with pytest.raises(PniError, match=rf"{item.name} must be a whole number.*, got True"):
                kind(**{item.name: True})


def test_the_command_line_offers_what_the_settings_have():
    from pni_fast.cli import options

    command = options.model_choice(lambda **_: None)
    by_name = {option.name: option for option in command.__click_params__}
    assert list(by_name["preset"].type.choices) == list(PRESETS)
    assert "|".join(RULES) in by_name["settings"].help
    assert set(METRICS) == {"image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro"}


def test_settings_cost_what_a_dataclass_costs(environment):
    """No array, image or network library is loaded by the presets, whatever they are imported as."""
    program = (
        "import sys, pni_fast.presets, pni_fast.config\n"
        "heavy = {'numpy', 'PIL', 'torch', 'timm', 'scipy', 'sklearn', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


EDITS = {
    "rule": "softmin",
    "sigma": -3,
    "crop": "480",
    "patch": 4,
    "position": 1,
    "mlp": {"layers": 0},
    "refiner": "none",
}


@pytest.mark.parametrize("name", list(EDITS))
def test_an_edited_model_file_is_refused_in_one_line(model_file, tmp_path, name):
    def change(header, _):
        value = EDITS[name]
        header["config"][name] = header["config"][name] | value if isinstance(value, dict) else value

    file = rewrite(model_file, tmp_path / "edited.safetensors", change)
    refuse(file, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_images", 0),
        ("n_images", True),
        ("grid", [0, 60]),
        ("scale", -1.0),
        ("normalization", [2.0, 1.0]),
        ("gate", {"risk": 2.0, "kept": True}),
        ("gate", {"risk": 0.0, "kept": "yes"}),
    ],
)
def test_edited_values_of_a_fit_are_refused_in_one_line(model_file, tmp_path, name, value):
    change = {name: value}
    file = rewrite(model_file, tmp_path / "edited.safetensors", lambda header, _: header.update(change))
    refuse(file, name)


def test_a_grid_that_is_not_the_backbones_is_refused(tmp_path):
    source = Path(__file__).resolve().parent.parent / "files" / "format1-both.safetensors"
    file = rewrite(source, tmp_path / "edited.safetensors", lambda header, _: header.update(grid=[4, 16]))
    refuse(file, "grid must be (8, 8) at a size of 64x64, got (4, 16)")


def refuse(file, name):
    from pni_fast import PNI

    with pytest.raises(ModelFileError) as refused:
        PNI.load(file, device="cpu")
    line = str(refused.value)
    assert line.startswith(f"{file}: damaged model file: ")
    assert "\n" not in line
    assert name in line


def test_presets_are_known_by_name():
    with pytest.raises(PniError, match=r"preset must be one of .*, got 'lit'; did you mean 'lite'"):
        preset("lit")
