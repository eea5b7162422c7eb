"""Images and masks that changed between two runs of a benchmark: no figure of the old ones is left."""

import json
import shutil

from benchmark_runs import COMMON
from pictures import defect_mask, texture
from pni_fast.benchmark import run_benchmark
from pni_fast.benchmark.records import RunFolder, contents
from pni_fast.benchmark.variants import Variant
from pni_fast.data import open_category


def test_images_that_came_later_are_noticed(shared_category, tmp_path):
    data, output = tmp_path / "data", tmp_path / "out"
    shutil.copytree(shared_category, data / "tile")
    run_benchmark(data, "mvtec", output, **COMMON)
    texture(30, defect=True).save(data / "tile/test/stain/009.png")
    defect_mask().save(data / "tile/ground_truth/stain/009_mask.png")
    (failure,) = run_benchmark(data, "mvtec", output, **COMMON).failures
    assert "PC.json: made from 4 training and 4 test images" in failure.error
    assert "now holds 4 and 5; delete the file to measure again" in failure.error


def test_records_of_images_that_were_replaced_are_refused_and_in_no_table(shared_category, tmp_path):
    data, output = tmp_path / "data", tmp_path / "out"
    for name in ("bottle", "tile"):
        shutil.copytree(shared_category, data / name)
    done = run_benchmark(data, "mvtec", output, **COMMON)
    assert done.failures == []
    replaced = next((data / "tile/test/good").glob("*.png"))
    original = replaced.read_bytes()
    shutil.copyfile(next((data / "tile/train/good").glob("*.png")), replaced)
    other = RunFolder(output, "paper").record_path("tile", Variant.named("P"))
    other.parent.mkdir(parents=True)  # a record of a preset that is not run now
    values = json.loads((output / "runs/lite/tile/PC.json").read_text())
    other.write_text(json.dumps(values | {"preset": "paper", "variant": "P"}))

    again = run_benchmark(data, "mvtec", output, **COMMON)
    assert again.measured == 0
    assert [(item.preset, item.category) for item in again.failures] == [("lite", "tile"), ("paper", "tile")]
    assert "made from other images or masks" in again.failures[0].error
    assert "made from other images or masks" in again.failures[1].error
    assert [item.category for item in again.records] == ["bottle"]
    written = json.loads((output / "benchmark.json").read_text())
    assert [item["category"] for item in written["results"]] == ["bottle"]
    assert "tile" not in (output / "benchmark.csv").read_text()

    replaced.write_bytes(original)
    back = run_benchmark(data, "mvtec", output, **COMMON)
    assert (back.failures, back.measured, len(back.records)) == ([], 0, 3)


def test_a_digest_of_a_category_sees_every_image_and_mask(shared_category, tmp_path):
    data = tmp_path / "tile"
    shutil.copytree(shared_category, data)
    before = contents(open_category(data))
    assert before == contents(open_category(shared_category))
    for path in sorted(data.rglob("*.png")):
        original = path.read_bytes()
        path.write_bytes(original + b"x")
        assert contents(open_category(data)) != before, path
        path.write_bytes(original)
