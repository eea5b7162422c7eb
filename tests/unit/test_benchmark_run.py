"""A benchmark resumes, survives a broken category, and refuses to mix settings; on tiny photographs."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_runs import COMMON, TINY, VARIANTS
from pictures import make_category, texture
from pni_fast import PNI, DataError, PniError, WeightsError
from pni_fast.benchmark import run_benchmark
from pni_fast.runtime.files import RESULTS_MARK


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    for name in ("bottle", "tile"):
        make_category(folder / name)
    return folder


@pytest.fixture(scope="module")
def unbroken(root, tmp_path_factory):
    """Return what a run over one category leaves behind that nothing interrupts."""
    output = tmp_path_factory.mktemp("unbroken")
    done = run_benchmark(root, "mvtec", output, categories=["bottle"], ablation=True, **COMMON)
    assert done.failures == []
    assert done.measured == 5
    return done


def figures(record):
    return (record.category, record.variant, record.metrics, record.curves)


def record_files(output):
    return sorted(output.glob("runs/*/*/*.json"))


def test_a_run_leaves_tables_figures_and_records(unbroken):
    output = unbroken.output
    assert [item.category for item in unbroken.records] == ["bottle"] * 5
    assert [item.variant for item in unbroken.records] == sorted(VARIANTS)
    found = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    marks = ["figures/.pni-fast-results"]
    images = ["precision-recall", "scores", *(f"sheet-{name}" for name in VARIANTS)]
    expected = ["benchmark.csv", "benchmark.json", "benchmark.md", "runs/lite/settings.json"]
    expected += [f"figures/lite/bottle/{name}.png" for name in images]
    expected += [f"runs/lite/bottle/{name}.json" for name in VARIANTS]
    assert found == sorted(expected + marks)
    written = json.loads((output / "benchmark.json").read_text())
    assert [table["name"] for table in written["tables"]] == ["Table 1", "Table 2", "Table 3", "All figures"]
    assert written["failures"] == []


def test_a_finished_run_measures_nothing_again(root, unbroken):
    before = {path: path.stat().st_mtime_ns for path in record_files(unbroken.output)}
    again = run_benchmark(root, "mvtec", unbroken.output, categories=["bottle"], ablation=True, **COMMON)
    assert again.measured == 0
    assert {path: path.stat().st_mtime_ns for path in record_files(unbroken.output)} == before


KILLED = """
import os, signal, sys
from benchmark_runs import COMMON
from pni_fast.benchmark import run_benchmark
left = int(sys.argv[3])
def kill(record):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
run_benchmark(
    sys.argv[1], "mvtec", sys.argv[2], categories=["bottle"], ablation=True, on_record=kill, **COMMON
)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_run_resumes_with_the_same_figures(root, unbroken, tmp_path, environment):
    tests = str(Path(__file__).parent.parent)
    paths = {"PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], tests])}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, root, tmp_path, "3"],
        env=environment | paths,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = {path: path.stat().st_mtime_ns for path in record_files(tmp_path)}
    assert [path.stem for path in before] == ["C", "P", "neither"]
    assert (tmp_path / "runs/lite/bottle/model.safetensors").is_file()

    done = run_benchmark(root, "mvtec", tmp_path, categories=["bottle"], ablation=True, **COMMON)
    assert done.measured == 2
    assert [figures(item) for item in done.records] == [figures(item) for item in unbroken.records]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    refitted = {item.variant: item.seconds["fit"] is not None for item in done.records}
    assert refitted == {"C": True, "P": True, "PC": False, "PCR": False, "neither": True}
    assert not list(tmp_path.rglob("*.safetensors"))
    assert [path.name for path in tmp_path.rglob(".*")] == [RESULTS_MARK]
    assert not list(tmp_path.rglob("model.images"))


def test_a_model_left_behind_without_a_wanted_part_is_fitted_again(root, unbroken, tmp_path):
    left = tmp_path / "runs/lite/bottle/model.safetensors"
    small = {key: value for key, value in TINY.items() if key != "refiner"}
    model = PNI(device="cpu", context=False, **small)
    model.fit(root / "bottle")
    model.save(left)
    done = run_benchmark(root, "mvtec", tmp_path, categories=["bottle"], **COMMON)
    assert [figures(item) for item in done.records] == [
        figures(item) for item in unbroken.records if item.variant == "PC"
    ]


def test_a_broken_category_is_passed_over_and_reported(root, tmp_path):
    data, output = tmp_path / "data", tmp_path / "out"
    shutil.copytree(root, data)
    broken = data / "bottle/train/good/001.png"
    broken.write_text("not an image")
    shutil.rmtree(shutil.copytree(data / "tile", data / "wood") / "train")
    seen = []
    done = run_benchmark(data, "mvtec", output, on_failure=seen.append, **COMMON)
    assert [item.category for item in done.failures] == ["bottle", "wood"] == [item.category for item in seen]
    assert "001.png" in done.failures[0].error
    assert "must hold good images to train on, got none" in done.failures[1].error
    assert [(item.category, item.variant) for item in done.records] == [("tile", "PC")]
    text = (output / "benchmark.md").read_text()
    assert "## Not measured" in text
    assert f"- lite bottle: {done.failures[0].error}" in text
    assert [item["category"] for item in json.loads((output / "benchmark.json").read_text())["failures"]] == [
        "bottle",
        "wood",
    ]

    texture(1).save(broken)
    mended = run_benchmark(data, "mvtec", output, categories=["bottle"], **COMMON)
    assert mended.failures == []
    assert mended.measured == 1
    assert [item.category for item in mended.records] == ["bottle", "tile"]
    assert "Not measured" not in (output / "benchmark.md").read_text()


def test_a_fault_of_the_program_keeps_its_traceback(root, tmp_path, monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("pni_fast.benchmark.measure.evaluate", fail)
    (failure,) = run_benchmark(root, "mvtec", tmp_path, categories=["tile"], **COMMON).failures
    assert failure.error == "ZeroDivisionError: by zero"
    assert "in fail" in failure.trace


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"holds results made with config\.seed 0, got 1; give another --output"),
        ({"settings": TINY | {"crop": 72}}, r"made with config\.crop 64, got 72"),
        ({"backbone": "resnet18"}, r"config\.backbone 'tf_efficientnet_lite0', got 'resnet18'"),
        (
            {"precision": "bf16"},
            "made with precision 'backbone float32, networks float32', "
            "got 'backbone bfloat16, networks bfloat16'",
        ),
    ],
)
def test_other_settings_are_refused(root, unbroken, change, message):
    with pytest.raises(PniError, match=message):
        run_benchmark(root, "mvtec", unbroken.output, **(COMMON | change))


def test_weights_of_a_refiner_need_one(root, tmp_path):
    weights = tmp_path / "encoder.pth"
    with pytest.raises(PniError, match=r"refiner_weights .*encoder\.pth: refinement must be on"):
        run_benchmark(root, "mvtec", tmp_path / "out", refiner_weights=weights, **COMMON)
    assert not (tmp_path / "out").exists()


def test_another_data_set_is_refused_for_every_preset(root, unbroken, tmp_path):
    with pytest.raises(PniError, match="made with dataset 'mvtec', got 'folder'"):
        run_benchmark(root, "folder", unbroken.output, presets=["paper"], **COMMON)
    make_category(tmp_path / "tile")
    with pytest.raises(PniError, match=r"made with root .*; give another --output"):
        run_benchmark(tmp_path, "mvtec", unbroken.output, presets=["paper"], **COMMON)


def test_wrong_names_end_a_run_before_it_begins(root, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(DataError, match="category must be one of bottle, tile, got screw"):
        run_benchmark(root, "mvtec", output, categories=["bottle", "screw"], **COMMON)
    with pytest.raises(WeightsError, match=r"none\.pth: cannot be read: No such file"):
        run_benchmark(root, "mvtec", output, weights=tmp_path / "none.pth", **COMMON)
    with pytest.raises(PniError, match="preset must be one of"):
        run_benchmark(root, "mvtec", output, presets=["large"], **COMMON)
    assert not output.exists()


def test_a_file_that_is_no_record_is_named(root, tmp_path):
    path = tmp_path / "runs/lite/tile/PC.json"
    path.parent.mkdir(parents=True)
    for text, message in (
        ("{", "must be a JSON object"),
        ("[]", "must be a JSON object, got list"),
        ('{"category": "tile"}', "must be a record of this version"),
    ):
        path.write_text(text)
        with pytest.raises(PniError, match=rf"PC\.json: {message}.*delete it"):
            run_benchmark(root, "mvtec", tmp_path, **COMMON)


def test_unknown_backbones_end_the_run(root, tmp_path):
    with pytest.raises(WeightsError, match="must be the name of a timm model"):
        run_benchmark(root, "mvtec", tmp_path, backbone="resnet1", **COMMON)


def test_what_on_failure_raises_ends_the_run(root, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(root, data)
    shutil.rmtree(data / "bottle/train")

    def stop(failure):
        raise InterruptedError(failure.category)

    with pytest.raises(InterruptedError, match="bottle"):
        run_benchmark(data, "mvtec", tmp_path / "out", on_failure=stop, **COMMON)
