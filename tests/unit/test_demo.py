"""The demo set: complete, deterministic, with exact masks, its test half never seen in training."""

import shutil

import numpy as np
import pytest
from PIL import Image
from pni_fast import demo
from pni_fast.data import open_category, read_mask
from pni_fast.demo import WINDOW, build_demo_set
from pni_fast.errors import PniError


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_demo_set(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def other(built, tmp_path_factory):
    """The set of another seed, built where an earlier one lay."""
    folder = tmp_path_factory.mktemp("other")
    earlier = shutil.copytree(built, folder / built.name)
    (earlier / "train" / "good" / "extra.png").touch()
    assert build_demo_set(folder, seed=1) == earlier
    return earlier


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_it_is_a_complete_category(built):
    category = open_category(built)
    assert len(category.train) == 30
    kinds = [sample.defect for sample in category.test]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        None: 12,
        "foreign_material": 6,
        "scratch": 6,
        "stain": 6,
    }
    assert len(list((built / demo.CALIBRATION).glob("*.png"))) == 30
    for sample in category.test:
        with Image.open(sample.path) as image:
            assert (image.size, image.mode) == ((WINDOW, WINDOW), "L")
        if sample.defect:
            share = read_mask(sample.mask, (WINDOW, WINDOW)).mean()
            assert 0.0005 < share < 0.15
    assert "CC0" in (built / "README.txt").read_text()


def test_the_seed_decides_every_byte(built, other, tmp_path):
    again = build_demo_set(tmp_path / "again")
    assert contents(again) == contents(built)
    images = [name for name in contents(built) if name.endswith(".png")]
    ours, theirs = contents(built), contents(other)
    assert not any(ours[name] == theirs[name] for name in images)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["foreign_material", "scratch", "stain"])
def test_masks_mark_exactly_what_changed(seed, kind):
    rng = np.random.default_rng(seed)
    photo = rng.uniform(90, 130, (WINDOW, WINDOW))
    materials = [rng.uniform(20, 220, (300, 300))]
    make = {
        "foreign_material": lambda: demo._foreign_material(photo, rng, materials),
        "scratch": lambda: demo._scratch(photo, rng),
        "stain": lambda: demo._stain(photo, rng),
    }[kind]
    damaged, mask = demo._damage(photo, *make())
    np.testing.assert_array_equal(damaged[~mask], photo[~mask])
    assert (damaged[mask] != photo[mask]).mean() > 0.99
    assert mask.any()
    assert np.abs(damaged - photo)[mask].max() > 15


def test_training_and_test_windows_come_from_different_halves(monkeypatch, tmp_path):
    left_dark = np.full((512, 512), 250.0)
    left_dark[:, :256] = 10.0
    textures = {"brick": left_dark}
    monkeypatch.setattr(demo, "_texture", lambda name: textures.get(name, np.full((512, 512), 250.0)))
    category = open_category(build_demo_set(tmp_path))
    levels = [np.asarray(Image.open(path)).max() for path in category.train]
    assert max(levels) < 40
    assert min(np.asarray(Image.open(s.path)).mean() for s in category.test if s.defect is None) > 190


def test_an_earlier_set_is_replaced_and_nothing_else_is(built, other, tmp_path):
    assert set(contents(other)) == set(contents(built))
    assert [path.name for path in other.parent.iterdir()] == ["paving"]
    mine = tmp_path / "mine"
    (mine / "paving").mkdir(parents=True)
    (mine / "paving" / "README.txt").write_text("my photographs")
    with pytest.raises(PniError, match="paving: must be free or hold an earlier demo set"):
        build_demo_set(mine)
    assert (mine / "paving" / "README.txt").read_text() == "my photographs"


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_stain", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_demo_set(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PniError, match=r"file.paving: cannot write: "):
        build_demo_set(tmp_path / "file")
