"""Every pixel format becomes the RGB it shows; masks and listings of folders."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from pni_fast.data import image_size, list_images, read_image, read_mask
from pni_fast.errors import DataError


def save(path, array, mode=None, **options):
    image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
    image.save(path, **options)
    return path


def stored_mode(path):
    with Image.open(path) as image:
        return image.mode


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(array, colour_type):
    """A 16-bit PNG of (h, w) or (h, w, channels), which Pillow cannot write for every colour type."""
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


RAMP16 = np.linspace(0, 65535, 48, dtype=np.uint16).reshape(6, 8)


def grey_rgb(array):
    return np.repeat(array[:, :, None], 3, axis=2)


def test_rgb_is_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = read_image(save(tmp_path / "a.png", pixels))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_grey_and_one_bit(tmp_path):
    pixels = np.arange(40, dtype=np.uint8).reshape(5, 8)
    np.testing.assert_array_equal(np.asarray(read_image(save(tmp_path / "a.png", pixels))), grey_rgb(pixels))
    bits = np.eye(8, dtype=bool)
    path = save(tmp_path / "b.png", bits)
    assert stored_mode(path) == "1"
    np.testing.assert_array_equal(np.asarray(read_image(path)), grey_rgb(bits.astype(np.uint8) * 255))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", RAMP16)
    np.testing.assert_array_equal(np.asarray(read_image(path)), grey_rgb((RAMP16 >> 8).astype(np.uint8)))


def test_sixteen_bit_pgm_and_int32_tiff(tmp_path):
    pgm = tmp_path / "a.pgm"
    pgm.write_bytes(b"P5 8 6 65535\n" + RAMP16.astype(">u2").tobytes())
    expected = grey_rgb((RAMP16 >> 8).astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(read_image(pgm)), expected)
    tif = save(tmp_path / "a.tif", RAMP16.astype(np.int32))
    np.testing.assert_array_equal(np.asarray(read_image(tif)), expected)


def test_sixteen_bit_colour_has_the_same_scale_as_sixteen_bit_grey(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png16(np.stack([RAMP16, RAMP16 // 2, RAMP16 // 4], axis=2), colour_type=2))
    expected = np.stack([RAMP16 >> 8, (RAMP16 // 2) >> 8, (RAMP16 // 4) >> 8], axis=2)
    np.testing.assert_array_equal(np.asarray(read_image(path)), expected)


def test_integers_beyond_sixteen_bits_are_refused_with_their_range(tmp_path):
    path = save(tmp_path / "a.tif", np.array([[-3, 70000]], dtype=np.int32))
    with pytest.raises(DataError, match=r"a\.tif: integer pixels must lie in 0 to 65535, got -3 to 70000"):
        read_image(path)


def test_floats_lie_in_zero_to_one(tmp_path):
    path = save(tmp_path / "a.tif", np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert np.asarray(read_image(path))[0, :, 0].tolist() == [0, 128, 255]
    wrong = save(tmp_path / "b.tif", np.array([[0.0, 200.0]], dtype=np.float32))
    with pytest.raises(DataError, match=r"b\.tif: float pixels must lie in 0 to 1, got 0 to 200"):
        read_image(wrong)
    nan = save(tmp_path / "c.tif", np.array([[0.0, np.nan]], dtype=np.float32))
    with pytest.raises(DataError, match="float pixels"):
        read_image(nan)


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    pixels = np.asarray(read_image(save(tmp_path / "rgba.png", rgba)))
    assert pixels[0, :2].tolist() == [[10, 20, 30], [255, 255, 255]]
    assert abs(int(pixels[0, 2, 0]) - 127) <= 1
    grey_alpha = save(tmp_path / "la.png", np.array([[[40, 255], [40, 0]]], dtype=np.uint8))
    assert stored_mode(grey_alpha) == "LA"
    assert np.asarray(read_image(grey_alpha))[0].tolist() == [[40] * 3, [255] * 3]


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "p.png")
    assert np.asarray(read_image(tmp_path / "p.png"))[0].tolist() == [[0, 0, 0], [200, 10, 10], [10, 200, 10]]
    image.save(tmp_path / "pt.png", transparency=1)
    shown = np.asarray(read_image(tmp_path / "pt.png"))[0].tolist()
    assert shown == [[0, 0, 0], [255, 255, 255], [10, 200, 10]]


def test_a_transparent_grey_level_is_laid_over_white(tmp_path):
    Image.fromarray(np.array([[7, 9]], dtype=np.uint8)).save(tmp_path / "a.png", transparency=7)
    assert np.asarray(read_image(tmp_path / "a.png"))[0, :, 0].tolist() == [255, 9]


def test_cmyk_and_lab(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    red = np.asarray(read_image(tmp_path / "a.tif"))[0, 0]
    assert red[0] > 240
    assert red[1:].max() < 15
    Image.new("LAB", (4, 4), (255, 128, 128)).save(tmp_path / "lab.tif")
    assert np.asarray(read_image(tmp_path / "lab.tif")).min() > 240


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> transpose method that stores it so
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    stored.save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(path))[:, :, 0], np.asarray(upright))
    assert image_size(path) == (3, 2)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_leaves_the_pixels(tmp_path):
    save(tmp_path / "a.jpg", np.full((8, 8, 3), 90, np.uint8), exif=b"Exif\0\0II*\0garbage")
    assert read_image(tmp_path / "a.jpg").size == (8, 8)


def test_the_first_frame_of_several_is_read(tmp_path):
    first, second = (Image.new("L", (4, 4), value) for value in (10, 200))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    assert np.asarray(read_image(tmp_path / "a.tif")).max() == 10


def test_a_mask_may_be_a_gif(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "a.gif")
    assert read_mask(tmp_path / "a.gif").tolist() == [[False, True]]


def test_masks_count_every_value_but_black(tmp_path):
    codes = np.array([[0, 1, 128, 255]], dtype=np.uint8)
    assert read_mask(save(tmp_path / "a.png", codes)).tolist() == [[False, True, True, True]]
    assert read_mask(save(tmp_path / "b.png", np.array([[0, 300]], np.uint16))).tolist() == [[False, True]]
    assert read_mask(save(tmp_path / "c.png", np.array([[False, True]]))).tolist() == [[False, True]]
    colour = np.array([[[0, 0, 0], [0, 0, 9]]], dtype=np.uint8)
    assert read_mask(save(tmp_path / "d.png", colour)).tolist() == [[False, True]]


def test_invisible_mask_pixels_are_no_defect(tmp_path):
    painted = np.array([[[255, 255, 255, 0], [255, 255, 255, 255], [0, 0, 0, 255]]], dtype=np.uint8)
    assert read_mask(save(tmp_path / "a.png", painted)).tolist() == [[False, True, False]]


def test_jpeg_masks_are_cut_at_half_brightness(tmp_path):
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    path = save(tmp_path / "a.jpg", mask.astype(np.uint8) * 255, quality=60)
    with Image.open(path) as image:
        assert (np.asarray(image) != 0).sum() > mask.sum()
    np.testing.assert_array_equal(read_mask(path), mask)


def test_mask_of_another_size_names_both(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    assert read_mask(path, (6, 4)).shape == (4, 6)
    with pytest.raises(DataError, match=r"a\.png: a mask must have the size of its image, 4×6, got 6×4"):
        read_mask(path, (4, 6))


def test_folder_masks_are_united(tmp_path):
    folder = tmp_path / "000"
    folder.mkdir()
    save(folder / "000.png", np.array([[255, 0, 0]], dtype=np.uint8))
    save(folder / "001.png", np.array([[0, 0, 254]], dtype=np.uint8))
    assert read_mask(folder, (3, 1)).tolist() == [[True, False, True]]
    save(folder / "002.png", np.zeros((1, 2), np.uint8))
    with pytest.raises(DataError, match=r"002\.png: .* 3×1, got 2×1"):
        read_mask(folder)


def test_listing_is_sorted_recursive_and_skips_the_rest(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "a.tiff", ".hidden.png", ".git/x.png", "notes.txt", "b/._2.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.warns(UserWarning, match=r"1 of 4 files were no images, the first notes\.txt"):
        names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["a.tiff", "b/10.JPG", "b/2.png"]


def test_listing_follows_links_but_not_in_circles(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").touch()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    assert list_images(tmp_path / "set") == [tmp_path / "set" / "link" / "a.png"]


def test_listing_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"must hold images \(\.bmp .*\), got nothing"):
        list_images(tmp_path)
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataError, match=r"got 1 other file$"):
        list_images(tmp_path)
    with pytest.raises(DataError, match="must be a folder of images, got a file"):
        list_images(tmp_path / "a.csv")
