"""Each kind of defect, the sequence of them, and the folders a user may bring."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pni_fast.errors import DataError
from pni_fast.synthetic import (
    KINDS,
    SyntheticDefect,
    SyntheticDefects,
    Textures,
    contact_sheet,
    read_drawn_masks,
    synthesize,
)
from pni_fast.synthetic.colour import jitter
from pni_fast.synthetic.drawing import _place, _spline
from pni_fast.synthetic.noise import fractal, perlin
from pni_fast.synthetic.proposal import Proposal, exact
from pni_fast.synthetic.sheet import _pair
from pni_fast.synthetic.textures import PATTERNS
from scipy.interpolate import CubicSpline


def photograph(height=96, width=128, seed=0):
    rng = np.random.default_rng(seed)
    grey = 255.0 * fractal((height, width), 4, 4, rng)
    return np.stack((grey, 255.0 - grey, 0.5 * grey), axis=2).astype(np.uint8)


def draw(image, kind, seed=0, **options):
    return synthesize(image, kind, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_image_differs_inside_the_mask_and_nowhere_else(kind):
    image = photograph()
    for seed in range(5):
        altered, mask = draw(image, kind, seed)
        assert altered.dtype == np.uint8
        assert mask.dtype == np.bool_
        assert mask.any()
        np.testing.assert_array_equal(altered[~mask], image[~mask])
        difference = np.abs(altered[mask].astype(int) - image[mask]).max(axis=1)
        assert np.mean(difference > 0) > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_equal_generators_give_equal_defects_and_others_do_not(kind):
    image = photograph()
    first, second, other = draw(image, kind, 3), draw(image, kind, 3), draw(image, kind, 4)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 64), (16, 16), (16, 300), (700, 500)])
def test_any_size_from_16_pixels_on(kind, shape):
    image = photograph(*shape)
    altered, mask = draw(image, kind)
    assert altered.shape == image.shape
    assert mask.shape == image.shape[:2]
    assert mask.any()
    assert not mask.all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, 127, 255])
def test_an_image_of_one_colour_gets_a_visible_defect(kind, value):
    image = np.full((64, 64, 3), value, dtype=np.uint8)
    altered, mask = draw(image, kind)
    assert np.abs(altered.astype(int) - image)[mask].max() >= 10


def test_the_input_is_not_changed():
    image = photograph()
    before = image.copy()
    for kind in KINDS:
        draw(image, kind)
    np.testing.assert_array_equal(image, before)


def test_background_on_background_is_no_defect():
    image = np.full((64, 64, 3), 20, dtype=np.uint8)
    image[10:30, 10:30] = 200
    altered = image.copy()
    altered[20:50, 5:50] = 23
    region = np.zeros((64, 64), dtype=bool)
    region[20:50, 5:50] = True
    image_out, mask = exact(image, Proposal(altered, region))
    expected = np.zeros((64, 64), dtype=bool)
    expected[20:30, 10:30] = True
    assert (mask & ~expected).sum() < 0.1 * expected.sum()
    assert mask[expected].mean() > 0.95
    np.testing.assert_array_equal(image_out[~mask], image[~mask])


def test_an_empty_region_stays_empty():
    image = photograph()
    nothing = exact(image, Proposal(image, np.zeros(image.shape[:2], dtype=bool)))
    assert not nothing.region.any()


def test_cutpaste_covers_at_most_its_share_and_scars_are_small():
    image = photograph(256, 256)
    areas = {kind: [draw(image, kind, seed)[1].mean() for seed in range(12)] for kind in KINDS[:2]}
    assert max(areas["cutpaste"]) <= 0.16
    assert np.median(areas["cutpaste"]) > 0.02
    assert max(areas["cutpaste_scar"]) < 0.02


def test_kinds_take_turns_in_equal_parts():
    defects = SyntheticDefects([photograph(32, 32, seed) for seed in range(3)], 0, count=24)
    assert Counter(item.kind for item in defects) == dict.fromkeys(KINDS, 6)
    assert Counter(item.source for item in defects) == {0: 8, 1: 8, 2: 8}


def test_an_item_depends_on_seed_and_index_alone():
    images = [photograph(48, 48, seed) for seed in range(3)]
    forwards = list(SyntheticDefects(images, 5))
    again = SyntheticDefects(images, 5, count=1000)
    assert len(forwards) == 12
    for index in reversed(range(12)):
        np.testing.assert_array_equal(again[index].image, forwards[index].image)
        np.testing.assert_array_equal(again[index].mask, forwards[index].mask)
        assert again[index].source == forwards[index].source
    other = SyntheticDefects(images, 6)
    assert any(not np.array_equal(other[i].mask, forwards[i].mask) for i in range(12))


def test_indices_beyond_the_ends_are_refused():
    defects = SyntheticDefects([photograph(32, 32)], 0)
    np.testing.assert_array_equal(defects[-1].mask, defects[3].mask)
    for index in (4, -5):
        with pytest.raises(IndexError, match=rf"got {index}"):
            defects[index]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 0), "at least one image, got none"),
        (([photograph(32, 32)], -1), "seed must be at least 0, got -1"),
        (([photograph(32, 32)], 0, None, None, -2), "count must be at least 0, got -2"),
    ],
)
def test_sequence_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SyntheticDefects(*arguments)


@pytest.mark.parametrize(
    ("image", "kind", "message"),
    [
        (photograph().astype(np.float32), "draem", "uint8 of shape"),
        (photograph()[..., 0], "draem", "uint8 of shape"),
        (photograph(15, 64), "draem", "at least 16 pixels"),
        (photograph(), "scratch", "cutpaste, cutpaste_scar, draem, drawing, got 'scratch'"),
    ],
)
def test_bad_images_and_kinds_are_refused(image, kind, message):
    with pytest.raises(ValueError, match=message):
        draw(image, kind)


def test_textures_come_from_the_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    Image.new("RGB", (40, 30), (250, 0, 130)).save(tmp_path / "deep" / "pink.png")
    textures = Textures(tmp_path)
    sample = textures.sample((50, 70), np.random.default_rng(0))
    assert sample.shape == (50, 70, 3)
    assert (sample == (250, 0, 130)).all()
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    altered, mask = draw(image, "draem", 1, textures=textures)
    assert (altered[mask][:, 1] == 0).all()
    assert altered[mask][:, 0].mean() > 20


@pytest.mark.parametrize("seed", range(8))
def test_built_in_textures_have_structure(seed):
    sample = Textures().sample((60, 80), np.random.default_rng(seed))
    assert sample.shape == (60, 80, 3)
    assert sample.dtype == np.uint8
    assert sample.std(axis=(0, 1)).max() > 3


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_in_the_unit_interval(pattern):
    for seed in range(4):
        values = pattern((33, 47), np.random.default_rng(seed))
        assert values.shape == (33, 47)
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-6
        assert values.std() > 0


def test_a_broken_texture_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        Textures(tmp_path).sample((32, 32), np.random.default_rng(0))
    with pytest.raises(DataError, match="missing"):
        Textures(tmp_path / "missing")


def test_drawn_masks_shape_the_defect(tmp_path):
    drawn = np.zeros((100, 100), dtype=np.uint8)
    drawn[40:60, 40:60] = 255
    Image.fromarray(drawn).save(tmp_path / "square.png")
    masks = read_drawn_masks(tmp_path)
    assert [mask.shape for mask in masks] == [(100, 100)]
    image = np.full((200, 200, 3), 128, dtype=np.uint8)
    for seed in range(6):
        _, mask = draw(image, "drawing", seed, masks=masks)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert rows[-1] - rows[0] < 46
        assert columns[-1] - columns[0] < 46


@pytest.mark.parametrize(("value", "got"), [(0, "only black"), (255, "no black")])
def test_drawn_masks_without_a_shape_are_refused(tmp_path, value, got):
    Image.new("L", (20, 20), value).save(tmp_path / "flat.png")
    with pytest.raises(DataError, match=rf"flat\.png.*{got}"):
        read_drawn_masks(tmp_path)


def test_a_thin_drawn_line_stays_whole_and_is_seen_on_the_sheet():
    line = np.zeros((4000, 4000), bool)
    line[:, 2001] = True
    for seed in range(4):
        placed = _place(line, (64, 64), np.random.default_rng(seed))
        assert max(placed.any(axis=0).sum(), placed.any(axis=1).sum()) >= 48  # moved by a quarter at most
    item = SyntheticDefect(np.zeros((4000, 4000, 3), np.uint8), line, "drawing", 0)
    assert (np.asarray(_pair(item)[1]) == (220, 30, 30)).all(axis=2).any(axis=1).all()


def test_perlin_noise_is_smooth_and_bounded():
    noise = perlin((64, 96), (4, 3), np.random.default_rng(0))
    assert noise.shape == (64, 96)
    assert np.abs(noise).max() <= 1.01
    assert np.abs(np.diff(noise, axis=0)).max() < 0.3
    assert noise.std() > 0.1


def test_jitter_keeps_greys_grey_and_changes_little():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)[None]
    changed = jitter(grey, 0.1, np.random.default_rng(0))
    assert np.ptp(changed.astype(int), axis=2).max() <= 1
    assert np.abs(changed.astype(int) - grey).max() < 60
    np.testing.assert_array_equal(jitter(grey, 0.0, np.random.default_rng(0)), grey)


def test_contact_sheet_shows_every_kind():
    defects = list(SyntheticDefects([photograph(64, 64)], 0, count=8))
    sheet = contact_sheet(defects)
    assert sheet.mode == "RGB"
    red = (np.asarray(sheet) == (220, 30, 30)).all(axis=2)
    assert red.sum() >= sum(int(item.mask.sum()) for item in defects) // 2
    with pytest.raises(ValueError, match="at least one defect"):
        contact_sheet([])


@pytest.mark.parametrize("count", range(3, 9))
def test_strokes_follow_the_cubic_spline(count):
    rng = np.random.default_rng(count)
    knots, along = np.linspace(0.0, 1.0, count), np.linspace(0.0, 1.0, 97)
    for values in (rng.uniform(-500.0, 500.0, (count, 2)), rng.uniform(0.0, 1.0, count)):
        np.testing.assert_allclose(
            _spline(knots, values, along), CubicSpline(knots, values)(along), rtol=0, atol=1e-9
        )
