"""A benchmark resumes, survives a broken category, and refuses to mix settings; on tiny photographs."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import defect_mask, make_category, texture
from pni_fast import PNI, DataError, PniError, WeightsError
from pni_fast.benchmark import run_benchmark
from pni_fast.benchmark.records import contents
from pni_fast.benchmark.variants import Variant, ablation, derive, share_extraction
from pni_fast.config import PRESETS
from pni_fast.data import open_category
from pni_fast.evaluation import evaluate
from pni_fast.refinement import RefinerConfig
from pni_fast.runtime.files import RESULTS_MARK

REFINER = RefinerConfig(side=32, bank=8, iterations=3, batch=4, levels=(0, 1), widths=(8, 8))
TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "refiner": REFINER}
COMMON = {"device": "cpu", "num_threads": 2, "settings": TINY}
VARIANTS = ["neither", "P", "C", "PC", "PCR"]


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


@pytest.fixture(scope="module")
def full(root):
    """Return a fitted model with every part, not yet sharing its extraction."""
    return PNI(device="cpu", refinement=True, **TINY).fit(root / "bottle")


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
sys.path.insert(0, sys.argv[1])
from test_benchmark_run import COMMON
from pni_fast.benchmark import run_benchmark
left = int(sys.argv[4])
def kill(record):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
run_benchmark(
    sys.argv[2], "mvtec", sys.argv[3], categories=["bottle"], ablation=True, on_record=kill, **COMMON
)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_run_resumes_with_the_same_figures(root, unbroken, tmp_path, environment):
    here = Path(__file__).parent
    paths = {"PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(here.parent)])}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, here, root, tmp_path, "3"],
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


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("lite", "neither P C PC PCR"),
        ("best", "neither P PR"),
        ("paper", "neither P N NP NPR"),
    ],
)
def test_the_rows_of_a_presets_ablation(preset, names):
    rows = ablation(PRESETS[preset])
    assert [variant.name for variant in rows] == names.split()
    assert [Variant.of(variant.applied_to(PRESETS[preset])) for variant in rows] == list(rows)


@pytest.mark.parametrize("name", VARIANTS[:4])
def test_a_part_left_out_is_the_fit_without_it(root, full, name):
    category, variant = open_category(root / "bottle"), Variant.named(name)
    alone = PNI(device="cpu", **(TINY | variant.settings(full.config))).fit(category.train)
    derived = derive(share_extraction(full), variant, category.train)
    images = [sample.path for sample in category.test]
    for _ in range(2):  # the second time from remembered features
        assert derived.score_samples(images).tobytes() == alone.score_samples(images).tobytes()
    ours, theirs = derived.summary(), alone.summary()
    assert ours["normalization"] == pytest.approx(theirs["normalization"], rel=1e-6)
    for said in ("config", "parts", "conditions", "weight", "trials"):
        assert ours[said] == theirs[said]


def test_what_the_whole_model_did_not_keep_is_fitted_anew(root, tmp_path):
    settings = TINY | {"position_gate": False}  # what is switched on acts, context before position
    options = COMMON | {"settings": settings}
    done = run_benchmark(root, "folder", tmp_path, categories=["tile"], ablation=True, **options)
    assert done.failures == []
    records = {record.variant: record for record in done.records}
    acting = {"neither": [], "P": ["position"], "C": ["context"], "PC": ["context"]}
    acting["PCR"] = ["context", "refinement"]
    assert {name: record.model["parts"] for name, record in records.items()} == acting
    fits = {name: record.seconds["fit"] for name, record in records.items()}
    assert fits.pop("P") not in fits.values()
    assert len(set(fits.values())) == 1
    category = open_category(root / "tile")
    position = PNI(device="cpu", context=False, **settings).fit(category.train)
    assert records["P"].metrics["image_threshold"] == pytest.approx(
        evaluate(position, category).metrics.image_threshold, abs=0
    )
    assert "lite PC chose: tile context 0.5." in (tmp_path / "benchmark.md").read_text()
    whole = PNI(device="cpu", **settings).fit(category.train)
    assert derive(whole, Variant.named("P"), category.train) is None


def test_features_of_an_image_are_extracted_once(root, full, monkeypatch):
    from pni_fast.features.extractor import FeatureExtractor

    category = open_category(root / "bottle")
    shared = share_extraction(full)
    calls = []
    forward = FeatureExtractor.forward
    monkeypatch.setattr(
        FeatureExtractor, "forward", lambda self, images: calls.append(1) or forward(self, images)
    )
    images = [sample.path for sample in category.test]
    for variant in ("neither", "P", "PC"):
        derive(shared, Variant.named(variant), category.train).score_samples(images)
    assert len(calls) == len(images) + len(category.train)
    shared.fitted.extractor._left = 0
    shared.fitted.extractor._seen.clear()
    shared.score_samples(images)
    shared.score_samples(images)
    assert len(calls) == 3 * len(images) + len(category.train), "beyond its capacity nothing is kept"


def test_a_variant_with_more_parts_than_the_model_is_refused(root):
    model = PNI(device="cpu", context=False, **TINY).fit(root / "bottle")
    with pytest.raises(ValueError, match="variant must have parts of P only, got PC"):
        derive(model, Variant.named("PC"), [])


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


def test_images_that_came_later_are_noticed(root, tmp_path):
    data, output = tmp_path / "data", tmp_path / "out"
    shutil.copytree(root / "tile", data / "tile")
    run_benchmark(data, "mvtec", output, **COMMON)
    texture(30, defect=True).save(data / "tile/test/stain/009.png")
    defect_mask().save(data / "tile/ground_truth/stain/009_mask.png")
    (failure,) = run_benchmark(data, "mvtec", output, **COMMON).failures
    assert "PC.json: made from 4 training and 4 test images" in failure.error
    assert "now holds 4 and 5; delete the file to measure again" in failure.error


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


def test_figures_of_images_that_were_replaced_are_refused(root, tmp_path):
    data, output = tmp_path / "data", tmp_path / "out"
    shutil.copytree(root, data)
    done = run_benchmark(data, "mvtec", output, categories=["tile"], **COMMON)
    assert done.failures == []
    again = run_benchmark(data, "mvtec", output, categories=["tile"], **COMMON)
    assert (again.failures, again.measured) == ([], 0)
    replaced = next((data / "tile/test/good").glob("*.png"))
    shutil.copyfile(next((data / "tile/train/good").glob("*.png")), replaced)
    again = run_benchmark(data, "mvtec", output, categories=["tile"], **COMMON)
    assert again.measured == 0
    assert "made from other images or masks" in again.failures[0].error


def test_a_digest_of_a_category_sees_every_image_and_mask(root, tmp_path):
    data = tmp_path / "tile"
    shutil.copytree(root / "tile", data)
    before = contents(open_category(data))
    assert before == contents(open_category(root / "tile"))
    for path in sorted(data.rglob("*.png")):
        original = path.read_bytes()
        path.write_bytes(original + b"x")
        assert contents(open_category(data)) != before, path
        path.write_bytes(original)
