"""A data set in each published layout runs from its folders to its tables."""

import json
import shutil

import pytest
from pictures import defect_mask, make_category, texture
from pni_fast.benchmark import run_benchmark

TINY = {
    "resize": 80,
    "crop": 64,
    "coreset_ratio": 0.1,
    "position": False,
    "context": False,
    "neighborhood": False,
}


def put(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def fill(train, good, bad, masks):
    """Write three training images, two good and two defective test images, and masks; templates take {}."""
    for index in range(3):
        put(train(index), texture(index))
    for index in range(2):
        put(good(index), texture(10 + index))
        put(bad(index), texture(20 + index, defect=True))
        put(masks(index), defect_mask())


def mvtec(root):
    make_category(root / "tile")
    return "tile"


def btad(root):
    folder = root / "BTech_Dataset_transformed" / "02"
    fill(
        lambda i: folder / f"train/ok/{i:04}.bmp",
        lambda i: folder / f"test/ok/{i:04}.bmp",
        lambda i: folder / f"test/ko/{9 + i:04}.bmp",
        lambda i: folder / f"ground_truth/ko/{9 + i:04}.{'png' if i else 'bmp'}",
    )
    return "02"


def mvtec_loco(root):
    folder = root / "pushpins"
    fill(
        lambda i: folder / f"train/good/{i:03}.png",
        lambda i: folder / f"test/good/{i:03}.png",
        lambda i: folder / f"test/logical_anomalies/{i:03}.png",
        lambda i: folder / f"ground_truth/logical_anomalies/{i:03}/000.png",
    )
    return "pushpins"


def mvtec_3d(root):
    folder = root / "bagel"
    fill(
        lambda i: folder / f"train/good/rgb/{i:03}.png",
        lambda i: folder / f"test/good/rgb/{i:03}.png",
        lambda i: folder / f"test/crack/rgb/{i:03}.png",
        lambda i: folder / f"test/crack/gt/{i:03}.png",
    )
    return "bagel"


def visa(root):
    data = "pcb1/Data"
    fill(
        lambda i: root / f"{data}/Images/Normal/{i:04}.JPG",
        lambda i: root / f"{data}/Images/Normal/{9 + i:04}.JPG",
        lambda i: root / f"{data}/Images/Anomaly/{i:03}.JPG",
        lambda i: root / f"{data}/Masks/Anomaly/{i:03}.png",
    )
    rows = ["object,split,label,image,mask"]
    rows += [f"pcb1,train,normal,{data}/Images/Normal/{i:04}.JPG," for i in range(3)]
    rows += [f"pcb1,test,normal,{data}/Images/Normal/{9 + i:04}.JPG," for i in range(2)]
    rows += [
        f"pcb1,test,anomaly,{data}/Images/Anomaly/{i:03}.JPG,{data}/Masks/Anomaly/{i:03}.png"
        for i in range(2)
    ]
    (root / "split_csv").mkdir()
    (root / "split_csv/1cls.csv").write_text("\n".join(rows) + "\n")
    return "pcb1"


def visa_converted(root):
    make_category(root / "1cls" / "pcb1")
    return "pcb1"


@pytest.mark.parametrize(
    ("make", "dataset", "own"),
    [
        (mvtec, "mvtec", None),
        (mvtec, "folder", None),
        (btad, "btad", "Table 5"),
        (mvtec_loco, "mvtec_loco", None),
        (mvtec_3d, "mvtec_3d", None),
        (visa, "visa", "Table 6"),
        (visa_converted, "visa", "Table 6"),
    ],
    ids=["mvtec", "folder", "btad", "mvtec_loco", "mvtec_3d", "visa", "visa_converted"],
)
def test_from_folders_to_tables(tmp_path, make, dataset, own):
    category = make(tmp_path / "data")
    output = tmp_path / "out"
    done = run_benchmark(tmp_path / "data", dataset, output, device="cpu", settings=TINY)
    assert done.failures == []
    (record,) = done.records
    assert (record.category, record.variant, record.n_test) == (category, "neither", 4)
    assert record.metrics["image_auroc"] == 1.0
    assert record.metrics["pixel_auroc"] > 0.95
    tables = {table["name"]: table for table in json.loads((output / "benchmark.json").read_text())["tables"]}
    assert set(tables) == {"Table 1", "Table 2", "All figures", own} - {None}
    assert sorted(path.name for path in (output / "figures/lite" / category).iterdir()) == [
        "precision-recall.png",
        "scores.png",
        "sheet-neither.png",
    ]


def test_without_masks_there_are_image_figures_only(tmp_path):
    mvtec(tmp_path / "data")
    shutil.rmtree(tmp_path / "data/tile/ground_truth")
    done = run_benchmark(tmp_path / "data", "folder", tmp_path / "out", device="cpu", settings=TINY)
    (record,) = done.records
    assert record.metrics["image_auroc"] == 1.0
    assert record.metrics["pixel_auroc"] is None
    assert record.curves is None
    assert not (tmp_path / "out/figures").exists()
    text = (tmp_path / "out/benchmark.md").read_text(encoding="utf-8")
    assert "| tile, lite PatchCore (neither) | 100.00 | 100.00 | – | – | – |" in text
    assert "no pixel_auroc for tile, left out of averages" in text
