"""Pictures that are broken, hostile or none: each is named in one line, and nothing is run for it."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pni_fast.data import image_size, read_image, read_mask
from pni_fast.errors import DataError, PniError


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height, colour_type):
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def broken_files():
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = {}
    for suffix in ("png", "jpg", "tif", "bmp", "webp"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, format={"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
        whole[suffix] = buffer.getvalue()
    yield from ((f"cut.{suffix}", data[: len(data) // 2]) for suffix, data in whole.items())
    yield "text.png", b"this is a text file, not an image\n"
    yield "header.png", whole["png"][:20]
    yield "flipped.png", whole["png"][:60] + bytes([whole["png"][60] ^ 0xFF]) + whole["png"][61:]


@pytest.mark.parametrize(("name", "data"), list(broken_files()))
@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_broken_files_are_named_in_one_line(tmp_path, name, data, reader):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        reader(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be read as an image: ")
    assert "\n" not in message


def test_empty_missing_and_folder(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png: cannot be read as an image: the file is empty"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(DataError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="must be an image file, got a folder"):
        read_image(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        image_size(tmp_path / "none.png")


def test_the_limit_on_decoded_bytes_is_ours_and_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("L", (1000, 1000)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow neither warns nor refuses
    assert read_image(path).size == image_size(path) == (1000, 1000)
    monkeypatch.setenv("PNI_FAST_MAX_IMAGE_MIB", "2")
    told = (
        r"bomb\.png: takes 3 MiB when decoded \(1000×1000 pixels\), more than the limit of 2; "
        "set the environment variable PNI_FAST_MAX_IMAGE_MIB to raise it"
    )
    for reader in (read_image, read_mask, image_size):
        with pytest.raises(DataError, match=told):
            reader(path)
    monkeypatch.setenv("PNI_FAST_MAX_IMAGE_MIB", "3")
    assert read_image(path).size == (1000, 1000)
    monkeypatch.setenv("PNI_FAST_MAX_IMAGE_MIB", "much")
    with pytest.raises(
        PniError, match=r"PNI_FAST_MAX_IMAGE_MIB must be a whole number of MiB, .* got 'much'"
    ):
        read_image(path)


def test_a_large_rgba_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(13000, 13000, colour_type=6))
    with pytest.raises(DataError, match=r"takes 645 MiB when decoded .* more than the limit of 512"):
        read_image(path)


def test_postscript_is_never_run_whatever_its_name(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was run"))
    path = tmp_path / "eps.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    for reader in (read_image, read_mask, image_size):
        with pytest.raises(DataError, match=r"eps\.png: cannot be read as an image: no known image format"):
            reader(path)


@pytest.mark.parametrize("form", ["GIF", "TGA", "PDF", "ICO", "PCX"])
def test_formats_of_other_suffixes_are_not_opened(tmp_path, form):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png", format=form)
    with pytest.raises(DataError, match="no known image format"):
        read_image(tmp_path / "a.png")


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="must be an image file, got a device or a pipe"):
        read_image(tmp_path / "a.png")


def test_a_link_to_nothing_is_named_with_its_target(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"a\.png: cannot be read .*: a link to .*gone\.png, which is gone"):
        read_image(tmp_path / "a.png")


def test_a_png_text_bomb_is_refused(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
        read_image(tmp_path / "a.png")
