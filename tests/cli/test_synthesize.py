"""`pni-fast synthesize`: what it writes, and what it refuses without leaving anything behind."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from pni_fast.cli.failures import Application
from pni_fast.cli.record import RECORD
from pni_fast.cli.synthesize import synthesize
from pni_fast.synthetic import KINDS, Textures

command = Application(commands={"synthesize": synthesize})


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "good"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 64), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(command, ["synthesize", *map(str, arguments)])


def files(folder: Path):
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_images_masks_and_sheet_in_the_layout_of_mvtec(photographs, tmp_path):
    output = tmp_path / "made"
    result = run(photographs, "--output", output, "--count", 6)
    assert result.exit_code == 0, result.output
    assert "Made 6 images from 2 good ones" in result.stdout
    kinds = [KINDS[number % 4] for number in range(6)]
    wanted = [f"ground_truth/{kind}/{number:03d}_mask.png" for number, kind in enumerate(kinds)]
    wanted += [f"test/{kind}/{number:03d}.png" for number, kind in enumerate(kinds)]
    assert files(output) == sorted(["contact_sheet.png", *wanted])
    for number, kind in enumerate(kinds):
        image = np.asarray(Image.open(output / "test" / kind / f"{number:03d}.png"))
        mask = np.asarray(Image.open(output / "ground_truth" / kind / f"{number:03d}_mask.png"))
        assert image.shape == (64, 80, 3)
        assert set(np.unique(mask)) == {0, 255}
        sources = [np.asarray(Image.open(path)) for path in sorted(photographs.iterdir())]
        assert any((image == source)[mask == 0].all() for source in sources)


def test_pictures_of_ten_bits_in_files_of_sixteen_are_no_black_ones(tmp_path):
    for folder, most in (("good", 1023), ("textures", 4095)):
        (tmp_path / folder).mkdir()
        values = np.random.default_rng(0).integers(most // 2, most + 1, (64, 64)).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / folder / "a.png")
    textures = ("--textures", tmp_path / "textures")
    result = run(tmp_path / "good", "-o", tmp_path / "made", "--count", 4, "--quiet", *textures)
    assert result.exit_code == 0, result.output
    for path in (tmp_path / "made/test").rglob("*.png"):
        assert np.percentile(np.asarray(Image.open(path)), 90) > 150  # 1023 of 65535 would be 3
    assert Textures(tmp_path / "textures").sample((32, 32), np.random.default_rng(0)).min() >= 127


def test_default_count_is_four_for_each_image(photographs, tmp_path):
    result = run(photographs, "--output", tmp_path / "made", "--quiet")
    assert result.exit_code == 0, result.output
    assert result.output == ""
    assert len(files(tmp_path / "made")) == 2 * 8 + 1


def test_the_same_seed_gives_the_same_files_whatever_the_count(photographs, tmp_path):
    for name, options in {"a": (), "b": ("--count", 4), "c": ("--seed", 1)}.items():
        assert run(photographs, "--output", tmp_path / name, *options).exit_code == 0
    place = Path("test/draem/002.png")
    first, second, other = ((tmp_path / name / place).read_bytes() for name in "abc")
    assert first == second
    assert first != other


def test_a_category_gives_its_good_images(photographs, tmp_path):
    category = tmp_path / "category"
    (category / "train").mkdir(parents=True)
    photographs.rename(category / "train" / "good")
    assert run(category, "--output", tmp_path / "made", "--count", 1).exit_code == 0


def test_own_textures_and_masks(photographs, tmp_path):
    for folder, colour in (("textures", "red"), ("masks", "black")):
        (tmp_path / folder).mkdir()
        picture = Image.new("RGB", (30, 30), colour)
        if folder == "masks":
            picture.paste("white", (10, 10, 20, 20))
        picture.save(tmp_path / folder / "one.png")
    options = ("--textures", tmp_path / "textures", "--masks", tmp_path / "masks", "--count", 4)
    assert run(photographs, "--output", tmp_path / "own", *options).exit_code == 0
    assert run(photographs, "--output", tmp_path / "built-in", "--count", 4).exit_code == 0
    for place in ("test/draem/002.png", "ground_truth/drawing/003_mask.png"):
        assert (tmp_path / "own" / place).read_bytes() != (tmp_path / "built-in" / place).read_bytes()


def broken(photographs, _):
    (photographs / "1.png").write_bytes(b"no picture")
    return photographs, ()


def small(photographs, _):
    Image.new("RGB", (15, 40)).save(photographs / "1.png")
    return photographs, ()


def missing(photographs, _):
    return photographs / "nowhere", ()


def empty_textures(photographs, tmp_path):
    (tmp_path / "textures").mkdir()
    return photographs, ("--textures", tmp_path / "textures")


def flat_mask(photographs, tmp_path):
    (tmp_path / "masks").mkdir()
    Image.new("L", (20, 20)).save(tmp_path / "masks" / "flat.png")
    return photographs, ("--masks", tmp_path / "masks")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (broken, "1.png: cannot be read"),
        (small, "1.png: must be at least 16 pixels each way, got 15×40"),
        (missing, "nowhere: no such"),
        (empty_textures, "textures: must hold images"),
        (flat_mask, "flat.png: a drawn mask must be bright on black, got only black"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(photographs, tmp_path, spoil, message):
    data, options = spoil(photographs, tmp_path)
    output = tmp_path / "deep" / "made"
    result = run(data, "--output", output, "--quiet", *options)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert message in lines[0]
    assert not (tmp_path / "deep").exists()


def test_an_output_that_cannot_be_written(photographs, tmp_path):
    (tmp_path / "made").write_text("a file")
    result = run(photographs, "--output", tmp_path / "made")
    assert result.exit_code == 1
    assert "made: cannot write: it is a file" in result.stderr
    assert (tmp_path / "made").read_text() == "a file"


@pytest.mark.parametrize("arguments", [("--count", 0), ("--seed", -1), ("--count", "many")])
def test_wrong_usage_is_status_2(photographs, tmp_path, arguments):
    result = run(photographs, "--output", tmp_path / "made", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
