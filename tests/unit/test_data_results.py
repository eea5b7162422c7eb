"""Marked results are never read as pictures, nor what systems leave; siblings of good are not good."""

import pytest
from PIL import Image
from pni_fast.data import (
    category_names,
    collect_inputs,
    list_images,
    open_category,
    prediction_sources,
    training_images,
    training_sources,
)
from pni_fast.data.results_mark import RESULTS_MARK, marks
from pni_fast.errors import DataError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(path, format="PNG")


@pytest.fixture
def scored(tmp_path):
    """A folder of pictures with the results of an earlier run inside it."""
    parts = tmp_path / "parts"
    touch(parts, "a.png", "day/b.png", "results/overlays/a.png", "results/overlays/day/b.png")
    (parts / "results" / RESULTS_MARK).touch()
    return parts


def test_a_folder_of_results_is_passed_by(scored):
    pictures = [scored / "a.png", scored / "day/b.png"]
    assert marks(scored / "results")
    assert list_images(scored) == training_images(scored) == pictures
    assert [path for path, _ in collect_inputs([scored])] == pictures
    assert len(training_sources(scored)) == len(list(prediction_sources(scored))) == 2


@pytest.mark.parametrize(
    "below", ["results", "results/overlays", "results/overlays/day", "results/overlays/a.png"]
)
def test_results_that_are_asked_for_are_refused(scored, below):
    path = scored / below
    link = scored.parent / "link"
    link.symlink_to(path)
    for given in (path, link):
        for read in (
            training_images,
            lambda one: collect_inputs([one]),
            lambda one: list(prediction_sources([one])),
        ):
            with pytest.raises(DataError, match=r"must be pictures to read, but it .* a result of pni-fast"):
                read(given)


def test_whatever_the_layout(tmp_path):
    touch(tmp_path, "bottle/train/good/0.png", "bottle/test/good/0.png", "bottle/test/crack/0.png")
    touch(tmp_path, "bottle/ground_truth/crack/0.png", "bottle/test/crack/out/overlays/0.png")
    touch(tmp_path, "bottle/ground_truth/crack/out/1.png", "bottle/train/good/out/0.png")
    for folder in ("test/crack/out", "ground_truth/crack/out", "train/good/out"):
        (tmp_path / "bottle" / folder / RESULTS_MARK).touch()
    category = open_category(tmp_path / "bottle")
    assert len(category.train) == 1
    assert [sample.name for sample in category.test] == ["crack/0.png", "good/0.png"]
    assert category.unclaimed == []
    (tmp_path / "bottle" / RESULTS_MARK).touch()
    with pytest.raises(DataError, match="a result of pni-fast"):
        open_category(tmp_path / "bottle")


@pytest.mark.parametrize("text", [b"", b"made by hand", b"\xff\xfe"])
def test_a_mark_of_any_text_is_on_everything(tmp_path, text):
    (tmp_path / RESULTS_MARK).write_bytes(text)
    assert marks(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["good/0.png", "crack/0.png", "mask/crack/0.png"],
        ["OK/0.png", "ng/0.png"],
        ["normal/0.png", "other.png"],
    ],
)
@pytest.mark.parametrize("inside", ["", "line/one"])
def test_a_good_folder_beside_others_is_not_learnt_from_with_them(tmp_path, names, inside):
    toy = tmp_path / "toy"
    touch(toy / inside, *names)
    good = names[0].partition("/")[0]
    with pytest.raises(DataError) as refused:
        training_images(toy)
    line = str(refused.value)
    assert line.startswith(f"{toy / inside}: must hold good images alone, got {good} beside ")
    assert line.endswith(f"; give {toy / inside / good}")
    others = {name.split("/")[0] if "/" in name else "images" for name in names[1:]}
    assert all(other in line for other in others)
    assert training_images(toy / inside / good) == [toy / inside / names[0]]


def test_good_folders_alone_are_learnt_from(tmp_path):
    touch(tmp_path, "a/good/0.png", "a/ok/0.png", "b/good/0.png")
    assert len(training_images(tmp_path)) == 3


@pytest.mark.parametrize("folder", ["", "made", "line/one"])
def test_made_defects_among_good_images_are_not_learnt(tmp_path, folder):
    toy = tmp_path / "toy"
    good = toy / "train/good"
    touch(toy, "train/good/0.png", "test/good/0.png")
    touch(good / folder, "test/draem/000.png", "Ground_Truth/draem/000_mask.png")
    message = rf"{good}: must hold good images alone, got masks in {(folder + '/').lstrip('/')}Ground_Truth$"
    with pytest.raises(DataError, match=message):
        training_images(toy)
    with pytest.raises(DataError, match=message):
        open_category(toy)


def test_masks_deep_in_a_plain_folder_are_not_learnt(tmp_path):
    touch(tmp_path, "0.png", "line/one/groundtruth/0.png")
    with pytest.raises(DataError, match=rf"{tmp_path}: .* got masks in line/one/groundtruth$"):
        training_images(tmp_path)


def test_a_category_is_known_in_any_case(tmp_path):
    touch(tmp_path, "toy/Train/Good/0.png", "toy/TEST/normal/0.png", "toy/TEST/crack/0.png")
    assert training_images(tmp_path / "toy") == [tmp_path / "toy/Train/Good/0.png"]
    assert [one.defect for one in open_category(tmp_path / "toy").test] == ["crack", None]
    with pytest.raises(DataError, match="got several: toy"):
        training_images(tmp_path)


def test_leavings_of_systems_are_skipped(tmp_path):
    touch(tmp_path, "a.png", "@eaDir/a.png", "$RECYCLE.BIN/b.png", "__MACOSX/._a.png", "x/__MACOSX/a.png")
    touch(tmp_path, "System Volume Information/a.png", "#recycle/a.png")
    assert list_images(tmp_path) == [tmp_path / "a.png"]
    touch(tmp_path, "set/@eaDir/test/good/0.png", "set/one/test/good/0.png")
    assert category_names(tmp_path / "set", "mvtec") == ["one"]


def test_jpegs_by_their_other_names_and_pictures_left_out(tmp_path):
    touch(tmp_path, "a.jfif", "b.JPE", "c.jif")
    for name in (".notes.txt", "Thumbs.db", "Desktop.ini"):
        (tmp_path / name).touch()
    assert len(list_images(tmp_path)) == 3
    (tmp_path / "notes.txt").touch()
    with pytest.warns(UserWarning, match=r"1 of 4 files were no images, the first notes\.txt$"):
        assert len(list_images(tmp_path)) == 3
    touch(tmp_path, "d.gif", "e.TGA", "f.dib")
    told = r"4 of 7 files were no images, 3 of them pictures of a kind that is not read \(\.dib \.gif \.tga\)"
    with pytest.warns(UserWarning, match=told):
        assert len(list_images(tmp_path)) == 3


def test_a_link_to_nothing_counts_as_a_broken_image(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "gone")
    with pytest.warns(UserWarning, match=r"1 of 3 files were no images, the first gone\.txt$"):
        assert list_images(tmp_path) == [tmp_path / "a.png", tmp_path / "b.png"]
    assert len(collect_inputs([tmp_path / "b.png"])) == 1
