"""Pictures of any height and width: what they are brought to, whole, and back."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pni_fast import PNI, DataError, PniError
from pni_fast.config import Config, Geometry, preset
from pni_fast.config.geometry import size_choice
from pni_fast.data import Source, open_category
from pni_fast.data.cropping import crop_image, crop_mask
from pni_fast.data.sizes import fitting_shape, known_size, one_size, size_of
from pni_fast.decision import regions
from pni_fast.evaluation import evaluate
from pni_fast.features.sizes import size_multiple
from pni_fast.model.exported_graph import check_exportable, preprocessing
from pni_fast.model.exporting import export_model
from pni_fast.scoring.original import at_original
from refiners import SMALL

WIDE = {"size": "160x64", "coreset_ratio": 0.1, "device": "cpu", "num_threads": 2}


def strip(seed, defect=None, size=(320, 128)):
    """A wide striped picture; with a red square at a place of its own where it is defective."""
    rng = np.random.default_rng(seed)
    width, height = size
    stripes = 110 + 40 * np.sin(np.arange(width) / 5)
    surface = stripes[None, :, None] + rng.normal(0, 6, (height, width, 3))
    if defect is not None:
        x, y, side = defect
        surface[y : y + side, x : x + side] = (250, 40, 40)
    return Image.fromarray(np.clip(surface, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def wide():
    return PNI(**WIDE).fit([strip(seed) for seed in range(6)])


def test_a_size_is_width_and_height_as_people_write_them():
    assert [size_choice(one) for one in ("480", 480, "800x600", "800X600", " 800×600 ", "auto", "crop")] == [
        *("480x480", "480x480", "800x600", "800x600", "800x600", "auto", "crop")
    ]
    assert Config(size="800x600").geometry.shape == (600, 800)
    assert PNI(size=96).config.size == "96x96"


@pytest.mark.parametrize("size", ["", "big", "800x", "-3", "0x8", "1.5", "9000", 0, "8x8x8"])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(PniError, match=r"^size must (be auto, crop, a|have sides from 1 to)") as told:
        Config(size=size)
    assert "\n" not in str(told.value)


def test_squares_of_the_paper_stay_and_resize_and_crop_mean_them():
    assert preset("paper").geometry == Geometry(512, 480)
    assert preset("paper").geometry.shape == (480, 480)
    assert preset("lite").size == preset("best").size == "auto"
    assert preset("lite", resize=80, crop=64).geometry.shape == (64, 64)
    assert preset("paper", size="auto").size == "auto"
    with pytest.raises(PniError, match="size 96 leaves no meaning to crop"):
        preset("lite", size=96, crop=64)


@pytest.mark.parametrize(
    "size", [(512, 512), (1024, 768), (1920, 1080), (4000, 300), (300, 4000), (96, 96), (9000, 30), (7, 1000)]
)
def test_auto_keeps_the_aspect_ratio_and_about_the_area(size):
    multiple = size_multiple(preset("lite"))
    height, width = fitting_shape([size, None, size], multiple)
    assert height % multiple == width % multiple == 0
    if 0.05 < size[0] / size[1] < 20:  # beyond, a side is few strides long
        assert abs(np.log(width / height / (size[0] / size[1]))) < 0.035
        assert abs(np.log(width * height / 512**2)) < 0.2
    assert fitting_shape([size], multiple)[::-1] == fitting_shape([size[::-1]], multiple)


def test_mixed_aspect_ratios_are_told_and_stretched_to_the_median():
    sizes = [(300, 4000), (640, 480), (641, 480), (1600, 1200), (4000, 300)]
    with pytest.warns(
        UserWarning, match="from 300×4000 to 4000×300 pixels: all are stretched to 576×432"
    ) as told:
        assert fitting_shape(sizes, 16) == (432, 576)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitting_shape(sizes[1:4], 16) == (432, 576)
        assert fitting_shape([], 16) == (512, 512)


def test_sizes_are_those_of_upright_pictures(tmp_path):
    turned = Image.new("RGB", (40, 20))
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "a.jpg", exif=turned.getexif())
    (tmp_path / "b.png").write_bytes(b"no picture")
    opened = Source("0", Image.open(tmp_path / "a.jpg"))
    assert size_of(opened) == size_of(Source("a.jpg", tmp_path / "a.jpg")) == opened.read().size == (20, 40)
    assert known_size(Source("b", tmp_path / "b.png")) is None
    assert one_size([(1, 2), None, (1, 2)]) == (1, 2)
    assert one_size([(1, 2), (2, 1)]) is None


def test_a_fit_decides_the_size_once(tmp_path):
    model = PNI(coreset_ratio=0.001, device="cpu").fit([strip(seed, size=(60, 30)) for seed in range(2)])
    assert model.config.size == "736x368"
    assert model.grid_ == (46, 92)
    model.save(tmp_path / "model")
    again = PNI.load(tmp_path / "model")
    assert (again.config, again.geometry.shape) == (model.config, (368, 736))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"size": "100x64"}, "size must be multiples of 16 for .*, got 100x64; the nearest is 96x64"),
        ({"size": "8x64"}, "got 8x64; the nearest is 16x64"),
        ({"size": "128x64", "tile": 160}, "tile must be at most the longer side of 128x64, got 160"),
        ({"size": "128x64", "tile": 64, "overlap": 64}, "overlap must be below the tile's 64, got 64"),
        (
            {"size": "128x64", "tile": 40, "overlap": 16},
            "tile must be a multiple of 16 .*nearest is 48",
        ),
        (
            {"size": "128x64", "tile": 64, "overlap": 8},
            "overlap must be a multiple of 16 .*nearest is 16",
        ),
        ({"tile": 4000}, "tile must be at most the longer side of 736x368, got 4000"),
        ({"tile": -1}, "tile must be at least 0, got -1"),
        ({"channels": (0, 1)}, "channels must be one number or three, from 0 to 255, such as 0,2,3; got 0,1"),
        ({"channels": "0,1,x"}, "channels must be whole numbers with commas between them, got '0,1,x'"),
        ({"channels": (0, 1, 3)}, "image 0: channels 0,1,3 asked for, but its channels are 0 to 2"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_before_the_work_begins(settings, told):
    with pytest.raises(PniError, match=told) as refused:
        PNI(device="cpu", **settings).fit([strip(0, size=(60, 30))])
    assert "\n" not in str(refused.value)


def test_maps_have_the_pictures_shape_and_a_defect_is_where_it_is(wide):
    picture = strip(90, (200, 30, 16))
    (found,) = wide.predict(picture)
    assert found.anomaly_map.shape == found.image.shape[:2] == (64, 160)
    np.testing.assert_array_equal(found.image, crop_image(picture, wide.geometry))
    row, column = np.unravel_index(found.anomaly_map.argmax(), (64, 160))
    assert abs(row - 19) < 8
    assert abs(column - 104) < 8


@pytest.mark.parametrize("corner", [(0, 50), (310, 50), (150, 0), (150, 118), (310, 118)])
def test_a_defect_in_the_outermost_3_percent_is_found(wide, corner):
    x, y = corner
    (found,) = wide.predict(strip(91, (x, y, 10)))
    assert found.is_defective
    (first, *_) = regions(found.anomaly_map, wide.pixel_threshold_, (320, 128), wide.geometry)
    assert first.x <= x + 5 <= first.x + first.width
    assert first.y <= y + 5 <= first.y + first.height


def test_a_region_of_interest_has_the_pictures_shape(tmp_path):
    mask = np.zeros((128, 320), bool)
    mask[:, :160] = True
    model = PNI(**WIDE).fit([strip(seed) for seed in range(4)], roi=mask)
    inside, outside = model.predict([strip(8, (60, 50, 20)), strip(8, (260, 50, 20))])
    assert inside.score > 1.5 * outside.score
    assert (outside.anomaly_map[:, 80:] == 0).all()
    model.save(tmp_path / "model")
    (same,) = PNI.load(tmp_path / "model", device="cpu").predict(strip(8, (60, 50, 20)))
    assert same.score == inside.score


def test_a_map_at_the_original_size_is_torchs_bilinear():
    grid = np.random.default_rng(0).random((12, 20), dtype=np.float32)
    geometry = Geometry(size=(12, 20))
    for size in ((50, 31), (20, 12), (7, 40)):
        expected = F.interpolate(torch.from_numpy(grid)[None, None], size=size[::-1], mode="bilinear")[0, 0]
        found = at_original(grid, geometry, size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_a_map_at_the_original_size_is_0_where_the_picture_was_cut_off():
    geometry = Geometry(128, 96)
    found = at_original(np.ones((96, 96), np.float32), geometry, (512, 256))
    expected = np.zeros((256, 512), np.float32)
    expected[32:224, 64:448] = 1
    np.testing.assert_array_equal(found, expected)
    assert crop_mask(expected > 0, geometry).all()


def test_metrics_at_the_original_size(wide, tmp_path):
    for kind in ("good", "dot"):
        (tmp_path / "test" / kind).mkdir(parents=True)
    (tmp_path / "ground_truth/dot").mkdir(parents=True)
    truth = np.zeros((128, 320), np.uint8)
    truth[40:56, 100:116] = 255
    Image.fromarray(truth).save(tmp_path / "ground_truth/dot/0_mask.png")
    strip(70, (100, 40, 16)).save(tmp_path / "test/dot/0.png")
    strip(71).save(tmp_path / "test/good/0.png")
    category = open_category(tmp_path)
    small, large = evaluate(wide, category), evaluate(wide, category, at="original")
    assert [one.as_dict()["metrics_size"] for one in (small, large)] == ["inspected", "original"]
    assert small.metrics.image_auroc == large.metrics.image_auroc == 1
    assert large.metrics.pixel_auroc == pytest.approx(small.metrics.pixel_auroc, abs=0.01)
    assert large.metrics.pixel_auroc != small.metrics.pixel_auroc
    assert large.results[0].anomaly_map.shape == (64, 160)
    json.dumps(large.as_dict())


def test_channels_are_taken_as_they_are_numbered():
    six = np.random.default_rng(0).integers(0, 256, (20, 30, 6), dtype=np.uint8)
    for content in (six, six.astype(np.uint16) * 257):
        found = np.asarray(Source("a", content).read(16, (0, 2, 5)))
        np.testing.assert_array_equal(found, six[:, :, [0, 2, 5]])
    grey = np.asarray(Source("a", six).read(16, (4,)))
    np.testing.assert_array_equal(grey, np.repeat(six[:, :, 4:5], 3, axis=2))
    four = Source("b", Image.fromarray(six[:, :, :4]))  # RGBA: its fourth is no transparency then
    np.testing.assert_array_equal(np.asarray(four.read(16, (3, 1, 0))), six[:, :, [3, 1, 0]])
    with pytest.raises(DataError, match="channels 4 asked for, but its channels are 0 to 3"):
        four.read(16, (4,))
    with pytest.raises(DataError, match="the setting channels takes some"):
        Source("a", six).read()


def test_a_model_of_other_channels_scores_them_alone():
    def six(seed, defect=None):
        noise = np.random.default_rng(1000 + seed).integers(0, 256, (128, 320, 6), dtype=np.uint8)
        noise[:, :, [1, 4, 5]] = np.asarray(strip(seed, defect))
        return noise

    model = PNI(**WIDE, channels="1,4,5").fit([six(seed) for seed in range(4)])
    good, bad = model.predict([six(80), six(80, (100, 40, 24))])
    assert not good.is_defective
    assert bad.is_defective


def test_a_picture_of_another_aspect_ratio_is_told_once(wide):
    with pytest.warns(UserWarning, match="1: 64×128 pixels, .* another aspect ratio, 320×128: ") as told:
        list(wide.predict([strip(1), strip(2, size=(64, 128)), strip(3, size=(64, 128)), strip(4)]))
    assert len(told) == 1


def test_a_refiner_takes_any_shape_by_torch_and_by_an_engine(tmp_path):
    settings = WIDE | {"size": "96x48", "refinement": True, "refiner": SMALL}
    model = PNI(**settings).fit([strip(seed, size=(150, 75)) for seed in range(4)])
    model.save(tmp_path / "model")
    picture = strip(9, (100, 40, 16), size=(150, 75))
    (expected,) = PNI.load(tmp_path / "model", device="cpu", engine="torch").predict(picture)
    (found,) = PNI.load(tmp_path / "model", device="cpu").predict(picture)
    assert found.anomaly_map.shape == (48, 96)
    np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, atol=1e-3 * expected.score)


def test_a_wide_model_is_exported(tmp_path):
    model = PNI(**WIDE, context=False).fit([strip(seed) for seed in range(3)])
    pictures = [
        (one.image, one.score, one.anomaly_map) for one in model.predict([strip(8), strip(9, (200, 30, 16))])
    ]
    export_model(model.fitted, tmp_path / "model.onnx", pictures)  # which compares scores and maps
    said = preprocessing(model.fitted)
    assert (said["resize"], said["crop"], said["crop_from"]) == ([160, 64], [160, 64], [0, 0])
    tiled = replace(model.fitted, config=replace(model.config, tile=64, overlap=16))
    with pytest.raises(PniError, match="export takes no model with tiles"):
        check_exportable(tiled)
