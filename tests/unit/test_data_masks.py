"""Masks are found whatever the case and form of their names, and made smaller without losing a mark."""

import unicodedata

import numpy as np
import pytest
from PIL import Image
from pni_fast.config import Geometry
from pni_fast.data import open_benchmark, open_category
from pni_fast.data.cropping import crop_mask, resize_mask
from pni_fast.data.masks import MaskFolder
from scipy import ndimage


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(path, format="PNG")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("crack/a.png", "ground_truth/crack/a_gt.png"),
        ("crack/a.png", "ground_truth/crack/a_label.png"),
        ("crack/a.png", "ground_truth/crack/a_MASK.Png"),
        ("crack/a.png", "ground_truth/crack/A.gif"),
        ("crack/a.png", "ground_truth/Crack/a.png"),
        ("crack/a.png", "groundtruth/crack/a.png"),
        ("crack/a.png", "Ground_Truth/CRACK/a.png"),
        ("crack/é.png", f"ground_truth/crack/{unicodedata.normalize('NFD', 'é')}_mask.png"),
        (f"crack/{unicodedata.normalize('NFD', 'ü')}.png", "ground_truth/crack/ü.png"),
        ("crack/a.png", "ground_truth/crack/A/0.png"),
    ],
)
def test_a_mask_is_found(tmp_path, image, mask):
    touch(tmp_path, f"test/{image}", mask)
    category = open_category(tmp_path)
    (sample,) = category.test
    assert sample.mask is not None
    assert (tmp_path / mask).is_relative_to(sample.mask)
    assert category.unclaimed == []


def test_an_exact_name_goes_before_one_in_another_case(tmp_path):
    touch(tmp_path, "a_mask.png", "A_mask.png", "b.bmp", "B.png", "c.bmp", "c.png", "c_mask.tif")
    masks = MaskFolder(tmp_path)
    found = {stem: masks.find(stem).name for stem in "aAbBc"}
    assert found == {"a": "a_mask.png", "A": "A_mask.png", "b": "b.bmp", "B": "B.png", "c": "c_mask.tif"}
    assert masks.find("d") is None
    assert MaskFolder(None).find("a") is MaskFolder(tmp_path / "gone").find("a") is None


def test_files_that_no_image_claims_are_kept_to_be_named(tmp_path):
    touch(tmp_path, "test/good/0.png", "test/crack/0.png", "test/crack/1.png")
    touch(tmp_path, "ground_truth/good/0.png", "ground_truth/crack/0_mask.png", "ground_truth/crack/one.png")
    touch(tmp_path, "ground_truth/crack/1/0.png", "ground_truth/dent/0.png", "ground_truth/@eaDir/x.png")
    found = [
        path.relative_to(tmp_path / "ground_truth").as_posix() for path in open_category(tmp_path).unclaimed
    ]
    assert found == ["crack/one.png", "dent/0.png"]


def test_unclaimed_masks_of_mvtec_3d_and_visa(tmp_path):
    bagel, pcb = tmp_path / "3d/bagel", tmp_path / "visa/pcb1/Data"
    touch(bagel, "train/good/rgb/0.png", "test/good/rgb/0.png", "test/good/gt/0.png")
    touch(bagel, "test/crack/rgb/0.png", "test/crack/gt/0.png", "test/crack/gt/7.png")
    touch(pcb, "Images/Normal/0.JPG", "Images/Anomaly/0.JPG", "Masks/Anomaly/0.png", "Masks/Anomaly/7.png")
    rows = ["object,split,label,image,mask", "pcb1,train,normal,pcb1/Data/Images/Normal/0.JPG,"]
    rows += ["pcb1,test,anomaly,pcb1/Data/Images/Anomaly/0.JPG,pcb1/Data/Masks/Anomaly/0.png"]
    (tmp_path / "visa/split_csv").mkdir()
    (tmp_path / "visa/split_csv/1cls.csv").write_text("\n".join(rows))
    assert open_benchmark(tmp_path / "3d", "mvtec_3d", "bagel").unclaimed == [bagel / "test/crack/gt/7.png"]
    assert open_benchmark(tmp_path / "visa", "visa", "pcb1").unclaimed == [pcb / "Masks/Anomaly/7.png"]


def regions(mask):
    return ndimage.label(mask, structure=np.ones((3, 3)))[1]


def test_a_thin_scratch_stays_one_region_when_it_is_made_smaller():
    mask = np.zeros((2000, 2000), bool)
    for row in range(100, 1900):
        mask[row, row // 3 + 200 : row // 3 + 202] = True
    assert regions(crop_mask(mask, Geometry(512, 512))) == 1
    line = np.zeros((4000, 4000), bool)
    line[:, 1999:2001] = True
    assert resize_mask(line, (512, 512)).any(axis=1).all()


@pytest.mark.parametrize(
    ("have", "want"), [((37, 50), (16, 16)), ((9, 64), (16, 32)), ((5, 7), (5, 7)), ((1, 40), (3, 3))]
)
def test_every_marked_pixel_stays_marked_and_no_pixel_is_marked_that_covers_none(have, want):
    random = np.random.default_rng(0)
    for _ in range(20):
        mask = random.random(have) < 0.02
        found = resize_mask(mask, want)
        assert found.shape == want
        expected = np.zeros(want, bool)
        for row, column in np.ndindex(want):
            expected[row, column] = mask[
                covered(row, have[0], want[0]), covered(column, have[1], want[1])
            ].any()
        np.testing.assert_array_equal(found, expected)


def covered(target, have, want):
    if have <= want:
        nearest = int((target + 0.5) * have / want)
        return slice(nearest, nearest + 1)
    return slice(target * have // want, -(-(target + 1) * have // want))


def test_a_mask_made_larger_is_as_pillow_makes_it():
    mask = np.random.default_rng(1).random((30, 41)) < 0.3
    pillow = Image.fromarray(mask).resize((96, 64), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resize_mask(mask, (64, 96)), np.asarray(pillow))
