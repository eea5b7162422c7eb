"""Folders become training lists, categories and named inputs; confusing layouts are refused."""

import pytest
from PIL import Image
from pni_fast.data import collect_inputs, open_category, training_images
from pni_fast.errors import DataError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(path) if path.suffix in (".png", ".bmp", ".jpg") else path.touch()


@pytest.fixture
def mvtec(tmp_path):
    root = tmp_path / "bottle"
    touch(root, "train/good/000.png", "train/good/001.png", "test/good/000.png")
    touch(root, "test/broken/000.png", "test/broken/001.png", "test/scratch/000.png", "test/scratch/001.png")
    touch(root, "ground_truth/broken/000_mask.png", "ground_truth/broken/001.png")
    touch(root, "ground_truth/scratch/000/000.png", "ground_truth/scratch/000/001.png", "readme.txt")
    return root


def test_a_category_in_mvtec_layout(mvtec):
    category = open_category(mvtec)
    assert category.name == "bottle"
    assert category.root == mvtec
    assert [path.name for path in category.train] == ["000.png", "001.png"]
    truth = mvtec / "ground_truth"
    assert [(s.name, s.defect, s.mask) for s in category.test] == [
        ("broken/000.png", "broken", truth / "broken" / "000_mask.png"),
        ("broken/001.png", "broken", truth / "broken" / "001.png"),
        ("good/000.png", None, None),
        ("scratch/000.png", "scratch", truth / "scratch" / "000"),
        ("scratch/001.png", "scratch", None),
    ]
    assert category.test[0].path == mvtec / "test" / "broken" / "000.png"


def test_a_category_with_ok_and_ko(tmp_path):
    touch(tmp_path, "train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp", "ground_truth/ko/2.BMP")
    touch(tmp_path, "test/ko/3.bmp", "ground_truth/ko/3.png", "ground_truth/ko/3.bmp")
    category = open_category(tmp_path)
    assert len(category.train) == 1
    assert [(s.name, s.defect) for s in category.test] == [
        ("ko/2.bmp", "ko"),
        ("ko/3.bmp", "ko"),
        ("ok/1.bmp", None),
    ]
    masks = [s.mask.name if s.mask else None for s in category.test]
    assert masks == ["2.BMP", "3.png", None]


def test_good_folders_are_known_in_any_case(tmp_path):
    touch(tmp_path, "train/Good/0.png", "test/OK/1.png", "test/Bad/2.png", "ground_truth/Bad/2.png")
    category = open_category(tmp_path)
    assert training_images(tmp_path) == category.train == [tmp_path / "train/Good/0.png"]
    assert [(s.name, s.defect) for s in category.test] == [("Bad/2.png", "Bad"), ("OK/1.png", None)]


def test_category_without_train_still_opens(tmp_path):
    touch(tmp_path, "test/good/0.png")
    assert open_category(tmp_path).train == []


def test_category_errors(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        open_category(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"must hold train/good and test .* got no test folder"):
        open_category(tmp_path)
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="test: must hold images"):
        open_category(tmp_path)
    touch(tmp_path, "test/stray.png")
    with pytest.raises(DataError, match=r"stray\.png: must lie in test/good or test/<defect>"):
        open_category(tmp_path)


def test_training_images_of_a_folder_a_category_and_a_file(tmp_path, mvtec):
    assert training_images(mvtec) == [mvtec / "train/good/000.png", mvtec / "train/good/001.png"]
    assert training_images(mvtec / "train" / "good") == training_images(mvtec)
    touch(tmp_path, "plain/day1/a.jpg", "plain/day2/a.jpg")
    plain = tmp_path / "plain"
    assert training_images(plain) == [plain / "day1/a.jpg", plain / "day2/a.jpg"]
    assert training_images(plain / "day1/a.jpg") == [plain / "day1/a.jpg"]


def test_defective_test_images_are_never_learnt(tmp_path, mvtec):
    with pytest.raises(DataError, match=r"must be one category or a folder of images, got several: bottle$"):
        training_images(mvtec.parent)
    touch(tmp_path, "half/test/bad/0.png", "half/0.png")
    with pytest.raises(DataError, match="half: a category must hold its good images in train/good"):
        training_images(tmp_path / "half")


def test_training_images_errors(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        training_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="must hold images"):
        training_images(tmp_path)


def test_inputs_keep_order_and_relative_names(tmp_path):
    touch(tmp_path, "in/b.png", "in/sub/a.png", "single.png")
    found = collect_inputs([tmp_path / "single.png", str(tmp_path / "in")])
    assert found == [
        (tmp_path / "single.png", "single.png"),
        (tmp_path / "in/b.png", "b.png"),
        (tmp_path / "in/sub/a.png", "sub/a.png"),
    ]


def test_equal_names_get_their_folders_name(tmp_path):
    touch(tmp_path, "mon/a.png", "tue/a.png", "tue/b.png")
    assert [name for _, name in collect_inputs([tmp_path / "mon", tmp_path / "tue"])] == [
        "mon/a.png",
        "tue/a.png",
        "b.png",
    ]
    files = [tmp_path / "mon/a.png", tmp_path / "tue/a.png"]
    assert [name for _, name in collect_inputs(files)] == ["mon/a.png", "tue/a.png"]


def test_names_that_stay_equal_are_refused(tmp_path):
    touch(tmp_path, "x/cam/a.png", "y/cam/a.png")
    with pytest.raises(DataError, match=r"inputs must have different names, got cam/a\.png also from"):
        collect_inputs([tmp_path / "x" / "cam", tmp_path / "y" / "cam"])
    with pytest.raises(DataError, match="different names"):
        collect_inputs([tmp_path / "x/cam/a.png", tmp_path / "x/cam/a.png"])


def test_missing_inputs_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: no such file or folder"):
        collect_inputs([tmp_path / "gone.png"])
