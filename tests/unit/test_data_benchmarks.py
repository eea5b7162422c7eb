"""Tiny data sets in the layouts their authors publish are read as categories."""

import numpy as np
import pytest
from PIL import Image
from pni_fast.data import DATASETS, category_names, image_size, open_benchmark, read_mask
from pni_fast.errors import DataError


def put(root, *names):
    """Write an image for each name; masks get one defective corner of their own."""
    for index, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((6, 8), np.uint8)
        pixels[index % 6, 0] = 255
        Image.fromarray(pixels).save(path)


def told(category):
    def short(mask):
        return mask.relative_to(category.root.parent).as_posix() if mask else None

    return [(sample.name, sample.defect, short(sample.mask)) for sample in category.test]


@pytest.mark.parametrize("dataset", ["mvtec", "folder"])
def test_mvtec_ad(tmp_path, dataset):
    for name in ("tile", "bottle"):
        put(tmp_path / name, "train/good/000.png", "test/good/000.png", "test/crack/000.png")
        put(tmp_path / name, "ground_truth/crack/000_mask.png")
    put(tmp_path, "pictures/a.png", ".cache/test/good/a.png")
    (tmp_path / "license.txt").touch()
    assert category_names(tmp_path, dataset) == ["bottle", "tile"]
    category = open_benchmark(tmp_path, dataset, "tile")
    assert (category.name, len(category.train)) == ("tile", 1)
    assert told(category) == [
        ("crack/000.png", "crack", "tile/ground_truth/crack/000_mask.png"),
        ("good/000.png", None, None),
    ]


def test_btad_with_its_ok_ko_and_both_mask_suffixes(tmp_path):
    root = tmp_path / "BTech_Dataset_transformed"
    put(root / "01", "train/ok/0000.bmp", "test/ok/0001.bmp", "test/ko/0002.bmp", "ground_truth/ko/0002.png")
    put(root / "03", "train/ok/0000.bmp", "test/ok/0001.bmp", "test/ko/0002.bmp", "ground_truth/ko/0002.bmp")
    for given in (tmp_path, root):
        assert category_names(given, "btad") == ["01", "03"]
        assert told(open_benchmark(given, "btad", "01")) == [
            ("ko/0002.bmp", "ko", "01/ground_truth/ko/0002.png"),
            ("ok/0001.bmp", None, None),
        ]
        assert told(open_benchmark(given, "btad", "03"))[0][2] == "03/ground_truth/ko/0002.bmp"
        assert len(open_benchmark(given, "btad", "03").train) == 1


def test_mvtec_loco_unites_its_mask_folders(tmp_path):
    truth = "ground_truth/logical_anomalies/000"
    put(tmp_path / "pushpins", "train/good/000.png", "validation/good/000.png", "test/good/000.png")
    put(tmp_path / "pushpins", "test/logical_anomalies/000.png", "test/structural_anomalies/000.png")
    put(tmp_path / "pushpins", f"{truth}/000.png", f"{truth}/001.png")
    put(tmp_path / "pushpins", "ground_truth/structural_anomalies/000/000.png")
    category = open_benchmark(tmp_path, "mvtec_loco", "pushpins")
    assert told(category) == [
        ("good/000.png", None, None),
        ("logical_anomalies/000.png", "logical_anomalies", f"pushpins/{truth}"),
        (
            "structural_anomalies/000.png",
            "structural_anomalies",
            "pushpins/ground_truth/structural_anomalies/000",
        ),
    ]
    assert len(category.train) == 1
    sample = category.test[1]
    assert read_mask(sample.mask, image_size(sample.path)).sum() == 2


def test_mvtec_3d_takes_the_photographs(tmp_path):
    for part in ("train/good", "validation/good", "test/good", "test/crack"):
        put(tmp_path / "bagel", f"{part}/rgb/000.png", f"{part}/gt/000.png", f"{part}/xyz/000.tiff")
    (tmp_path / "bagel" / "calibration").mkdir()
    assert category_names(tmp_path, "mvtec_3d") == ["bagel"]
    category = open_benchmark(tmp_path, "mvtec_3d", "bagel")
    assert [path.relative_to(tmp_path).as_posix() for path in category.train] == [
        "bagel/train/good/rgb/000.png"
    ]
    assert told(category) == [
        ("crack/000.png", "crack", "bagel/test/crack/gt/000.png"),
        ("good/000.png", None, None),
    ]


VISA = """object,split,label,image,mask
candle,train,normal,candle/Data/Images/Normal/0002.JPG,
candle,train,normal,candle/Data/Images/Normal/0001.JPG,
candle,test,normal,candle/Data/Images/Normal/0003.JPG,
candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png
pcb1,train,normal,pcb1/Data/Images/Normal/0001.JPG,
"""


@pytest.fixture
def visa(tmp_path):
    for line in VISA.splitlines()[1:]:
        put(tmp_path, *(name for name in line.split(",")[3:] if name))
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv" / "1cls.csv").write_text(VISA)
    return tmp_path


def test_visa_with_its_csv(visa):
    assert category_names(visa, "visa") == ["candle", "pcb1"]
    category = open_benchmark(visa, "visa", "candle")
    assert category.name == "candle"
    assert [path.name for path in category.train] == ["0001.JPG", "0002.JPG"]
    assert told(category) == [
        ("anomaly/000.JPG", "anomaly", "candle/Data/Masks/Anomaly/000.png"),
        ("good/0003.JPG", None, None),
    ]


def test_visa_converted(tmp_path):
    put(tmp_path / "1cls" / "candle", "train/good/0.JPG", "test/good/1.JPG", "test/bad/2.JPG")
    put(tmp_path / "1cls" / "candle", "ground_truth/bad/2.png")
    for given in (tmp_path, tmp_path / "1cls"):
        assert category_names(given, "visa") == ["candle"]
        assert told(open_benchmark(given, "visa", "candle")) == [
            ("bad/2.JPG", "bad", "candle/ground_truth/bad/2.png"),
            ("good/1.JPG", None, None),
        ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "object,split,label,image,mask",
            "object,split,label,image",
            r"1cls\.csv: must have the columns .* no mask",
        ),
        ("candle,test,normal", "candle,val,normal", r"line 4: split must be train or test, got 'val'"),
        ("candle,test,anomaly", "candle,test,bad", r"line 5: label must be normal or anomaly, got 'bad'"),
        (
            "candle,test,anomaly",
            "candle,train,anomaly",
            r"line 5: training images must be normal, got anomaly",
        ),
        ("Normal/0003.JPG", "Normal/9999.JPG", r"line 4: must name files that exist, got .*9999\.JPG"),
        ("Masks/Anomaly/000.png", "Masks/Anomaly/9.png", r"line 5: must name files that exist, got .*9\.png"),
        (
            "Normal/0003.JPG",
            "./Normal/0002.JPG",
            r"line 4: must name each image once, got candle/.*/\./Normal/0002.JPG of line 2",
        ),
        (
            "Anomaly/000.JPG",
            "Normal/0003.JPG",
            r"line 5: must name each image once, got .*0003\.JPG of line 4",
        ),
        ("pcb1,train", "../pcb1,train", r"line 6: object must be the name of a folder, got '\.\./pcb1'"),
        ("pcb1,train", ",train", r"line 6: object must be the name of a folder, got ''"),
        ("pcb1/Data/Images/Normal/0001.JPG", "", r"line 6: must name an image, got none"),
        ("pcb1/Data", "p" * 200_000, r"line 6: must be text with commas, field larger than field limit"),
    ],
)
def test_a_wrong_visa_table_is_named_by_line(visa, old, new, message):
    table = visa / "split_csv" / "1cls.csv"
    assert old in VISA
    table.write_text(VISA.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        open_benchmark(visa, "visa", "candle")


def test_errors_name_what_is_allowed(tmp_path):
    with pytest.raises(DataError, match=f"dataset must be one of {', '.join(DATASETS)}, got imagenet"):
        category_names(tmp_path, "imagenet")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        category_names(tmp_path / "nowhere", "mvtec")
    for dataset in DATASETS:
        with pytest.raises(DataError, match=f"must hold categories in the layout of {dataset}, got none"):
            category_names(tmp_path, dataset)
    put(tmp_path / "bottle", "test/good/000.png")
    with pytest.raises(DataError, match=r"category must be one of bottle, got botle; did you mean bottle\?"):
        open_benchmark(tmp_path, "mvtec", "botle")
    with pytest.raises(DataError, match="bottle: must hold good images to train on, got none"):
        open_benchmark(tmp_path, "mvtec", "bottle")
