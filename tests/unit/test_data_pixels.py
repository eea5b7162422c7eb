"""Files, PIL images and arrays of the same pixels are the same picture; a depth decides what is white."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pni_fast.config import Config
from pni_fast.data import Source, image_size, prediction_sources, read_image, read_mask, training_sources
from pni_fast.data.depth import Brightness, depth_of, highest_value
from pni_fast.errors import DataError, PniError

RAMP16 = np.linspace(0, 65535, 48, dtype=np.uint16).reshape(6, 8)
SEVERAL = {
    "grey16.png": RAMP16,
    "grey16.tif": RAMP16,
    "int32.tif": RAMP16.astype(np.int32),
    "float.tif": (RAMP16 / 65535).astype(np.float32),
    "grey.png": (RAMP16 >> 8).astype(np.uint8),
    "rgba.png": np.arange(6 * 8 * 4, dtype=np.uint8).reshape(6, 8, 4),
    "colour.bmp": np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3),
}


def pixels(source, depth=16):
    return np.asarray(source.read(depth))


def negative_tiff(path, values):
    """A 16-bit grey TIFF with white as 0, which Pillow itself cannot write."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="TIFF")
    stored = bytearray(buffer.getvalue())
    tag = (262).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    place = stored.index(tag) + len(tag)
    assert stored[place] == 1
    stored[place] = 0
    path.write_bytes(stored)
    return path


@pytest.mark.parametrize("name", list(SEVERAL))
@pytest.mark.parametrize("depth", [16, 12])
@pytest.mark.filterwarnings("ignore:.*of the setting depth")
def test_a_file_a_pil_image_and_an_array_are_one_picture(tmp_path, name, depth):
    path = tmp_path / name
    Image.fromarray(SEVERAL[name]).save(path)
    expected = np.asarray(read_image(path, depth))
    opened = Image.open(path)
    given = [opened, opened.copy(), SEVERAL[name], np.asfortranarray(SEVERAL[name])]
    for source in prediction_sources(given):
        np.testing.assert_array_equal(pixels(source, depth), expected)


def test_a_pil_image_is_turned_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.png", "a.jpg", "a.tif", "a.webp"):
        path = tmp_path / name
        Image.fromarray(np.arange(96 * 64, dtype=np.uint8).reshape(64, 96)).save(path, exif=exif)
        assert read_image(path).size == image_size(path) == (64, 96)
        (source,) = prediction_sources(Image.open(path))
        np.testing.assert_array_equal(pixels(source), np.asarray(read_image(path)))
        mask = read_mask(path, image_size(path))
        assert mask.shape == (96, 64)


def test_wide_colour_arrays_and_truth_values():
    colour = np.stack([RAMP16, RAMP16 // 2, RAMP16 // 4], axis=2)
    np.testing.assert_array_equal(pixels(Source("0", colour)), colour >> 8)
    np.testing.assert_array_equal(pixels(Source("0", colour.astype(">u2"))), colour >> 8)
    np.testing.assert_array_equal(pixels(Source("0", np.eye(3, dtype=bool)))[..., 0], np.eye(3) * 255)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 9, 8), np.uint8), np.zeros((9, 8), np.int64), np.zeros((2, 9, 8), np.uint8)]
)
def test_arrays_that_are_no_pictures_say_what_is_allowed(array):
    with pytest.raises(
        DataError, match=r"image 0: an array must be uint8.*channels last, \(H, W, 1, 3 or 4\), got"
    ):
        Source("0", array).read()


def test_a_tensor_is_an_array_and_channels_come_last():
    torch = pytest.importorskip("torch")
    upright = np.arange(9 * 8 * 3, dtype=np.uint8).reshape(9, 8, 3)
    for given in (upright, torch.from_numpy(upright), torch.from_numpy(upright)[None]):
        (source,) = prediction_sources(given)
        np.testing.assert_array_equal(pixels(source), upright)
    flipped = torch.from_numpy(upright).permute(2, 0, 1)
    for given in (flipped, flipped.numpy(), flipped[None], flipped.contiguous()):
        for reader in (training_sources, prediction_sources):
            with pytest.raises(DataError, match="channels last"):
                list(reader(given))
    with pytest.raises(DataError, match="channels last"):
        next(prediction_sources([flipped])).read()
    assert len(list(prediction_sources(torch.zeros((5, 9, 8), dtype=torch.uint8)))) == 5
    weighted = torch.full((9, 8), 0.5, requires_grad=True)
    assert pixels(next(prediction_sources(weighted))).max() == 128


def test_what_an_iterator_hands_over_is_copied():
    buffer = np.zeros((4, 4), np.uint8)
    picture = Image.fromarray(np.zeros((4, 4), np.uint8))

    def frames():
        for value in (10, 20, 30):
            buffer[:] = value
            picture.putpixel((0, 0), value)
            yield buffer
            yield Source("named", buffer)
            yield picture

    found = [int(pixels(source)[0, 0, 0]) for source in list(prediction_sources(frames()))]
    assert found == [10, 10, 10, 20, 20, 20, 30, 30, 30]


def test_where_white_is_zero_pixels_are_inverted(tmp_path):
    path = negative_tiff(tmp_path / "a.tif", RAMP16)
    expected = ((65535 - RAMP16) >> 8).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(read_image(path))[..., 0], expected)
    opened = Image.open(path)
    for source in prediction_sources([opened, *prediction_sources(iter([Image.open(path)]))]):
        np.testing.assert_array_equal(pixels(source)[..., 0], expected)
    twelve = negative_tiff(tmp_path / "b.tif", RAMP16 >> 4)
    np.testing.assert_array_equal(np.asarray(read_image(twelve, 12))[..., 0], (4095 - (RAMP16 >> 4)) >> 4)
    mask = negative_tiff(tmp_path / "mask.tif", np.array([[65535, 0]], np.uint16))
    assert read_mask(mask).tolist() == [[False, True]]


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_fewer_bits_in_wide_files(tmp_path, depth):
    values = RAMP16 >> (16 - depth)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.asarray(read_image(tmp_path / "a.png")).max() == 255 >> (16 - depth)
    found = np.asarray(read_image(tmp_path / "a.png", depth))[..., 0]
    np.testing.assert_array_equal(found, values >> (depth - 8))
    assert depth_of([highest_value(Source("a", tmp_path / "a.png"))]) == depth


def test_the_depth_is_that_of_the_highest_training_value(tmp_path):
    Image.fromarray(RAMP16 >> 4).save(tmp_path / "wide.png")
    Image.new("L", (4, 4), 255).save(tmp_path / "grey.png")
    (tmp_path / "broken.png").write_text("no image")
    files = [Source(name, tmp_path / name) for name in ("grey.png", "broken.png", "wide.png")]
    assert [highest_value(one) for one in files] == [-1, -1, 4095]
    assert depth_of(map(highest_value, files)) == 12
    assert depth_of([-1, -1]) == depth_of([]) == 16
    assert highest_value(Source("0", Image.open(tmp_path / "wide.png"))) == 4095
    assert highest_value(Source("0", (RAMP16 >> 6).astype(">u2"))) == 1023
    assert [depth_of([value]) for value in (0, 255, 256, 4096, 16384, 65535)] == [8, 8, 10, 14, 16, 16]


def test_what_lies_above_the_depth_is_white_and_told():
    bright = np.array([[0, 4095, 5000]], np.uint16)
    with pytest.warns(
        UserWarning, match="image 0: highest value 5000, above 4095, the highest of the 12 bits"
    ):
        assert pixels(Source("0", bright), 12)[0, :, 0].tolist() == [0, 255, 255]


def test_pictures_that_use_less_than_a_quarter_of_their_range_are_told():
    dark = Brightness()
    dark.check(16)
    for value in (15, 63):
        dark.add(np.full((4, 4, 3), value, np.uint8))
    with pytest.warns(
        UserWarning, match="highest value of all 2 pictures: 63 of 255, .* the 16 of the setting"
    ):
        dark.check(16)
    dark.add(np.full((4, 4, 3), 64, np.uint8))
    dark.check(16)


def test_the_setting_of_the_depth():
    assert Config().depth == "auto"
    assert Config().geometry.depth == 16
    assert Config(depth="12").depth == Config(depth=12).geometry.depth == 12
    stored = Config(depth=12).as_dict()
    assert Config.from_dict(stored).depth == 12
    del stored["depth"]
    assert Config.from_dict(stored).depth == 16
    for wrong in (7, 17, "deep", "-12", ""):
        with pytest.raises(PniError, match="depth must be from 8 to 16 bits, or auto, got"):
            Config(depth=wrong)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


TURNED = Image.Exif()
TURNED[0x0112] = 6
XMP = b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation="6"/>'
SAYING = {
    "exif": (b"eXIf", TURNED.tobytes().removeprefix(b"Exif\0\0")),
    "xmp": (b"iTXt", XMP),
    "packed": (b"iTXt", XMP[:18] + b"\1\0\0\0" + zlib.compress(XMP[22:])),
}


def with_chunk(path, place, kind, content):
    Image.new("RGB", (30, 20)).save(path)
    plain = path.read_bytes()
    at = {"before": 8 + 25, "behind": len(plain) - 12}[place]
    path.write_bytes(plain[:at] + chunk(kind, content) + plain[at:])


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("how", SAYING)
def test_the_size_of_a_png_follows_what_is_said_of_how_it_lies(tmp_path, place, how):
    with_chunk(tmp_path / "a.png", place, *SAYING[how])
    assert read_image(tmp_path / "a.png").size == image_size(tmp_path / "a.png") == (20, 30)


@pytest.mark.parametrize("text", [b"Comment\0six", XMP.replace(b"tiff:Orientation", b"tiff:Make")])
def test_the_size_of_a_png_is_had_without_its_pixels_where_nothing_says_more(tmp_path, monkeypatch, text):
    with_chunk(tmp_path / "a.png", "behind", b"iTXt" if text.startswith(b"XML") else b"tEXt", text)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda _: pytest.fail("decoded"))
    assert image_size(tmp_path / "a.png") == (30, 20)
