"""PNG of the plain kind: every pixel as Pillow has it; what is not plain, or broken, is left to Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pni_fast import _core
from pni_fast.data import decoding
from pni_fast.errors import DataError


def written(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def by_hand(pixels: np.ndarray, filters: np.ndarray, level: int) -> bytes:
    """A PNG with a chosen filter in every row, in two pieces of compressed data."""
    height, width, channels = pixels.shape
    rows, above = [], np.zeros((width + 1, channels), int)
    for row, kind in zip(pixels.astype(int), filters, strict=True):
        own = np.concatenate([np.zeros((1, channels), int), row])
        left, up, corner = own[:-1], above[1:], above[:-1]
        guess = left + up - corner
        far = [abs(guess - one) for one in (left, up, corner)]
        paeth = np.where(
            (far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], up, corner)
        )
        taken = [0 * left, left, up, (left + up) // 2, paeth][kind]
        rows.append(bytes([kind]) + (row - taken).astype(np.uint8).tobytes())
        above = own
    data = zlib.compress(b"".join(rows), level)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    half = len(data) // 2
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in [
            (b"IHDR", header),
            (b"IDAT", data[:half]),
            (b"IDAT", data[half:]),
            (b"IEND", b""),
        ]
    )


@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])),
    seed=st.integers(0, 2**32 - 1),
    level=st.integers(0, 9),
)
def test_plain_pixels_are_those_that_were_written(shape: tuple[int, int, int], seed: int, level: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, shape, np.uint8)
    content = by_hand(pixels, random.integers(0, 5, shape[0]), level)
    found = _core.decode_png(content)
    assert found is not None
    np.testing.assert_array_equal(found, pixels)
    with Image.open(io.BytesIO(content)) as opened:
        np.testing.assert_array_equal(found, np.asarray(opened).reshape(shape))


RANDOM = np.random.default_rng(0)
COLOUR = Image.fromarray(RANDOM.integers(0, 256, (40, 30, 3), np.uint8))
TEXT = PngImagePlugin.PngInfo()
TEXT.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.mark.parametrize(
    "content",
    [
        written(Image.fromarray(RANDOM.integers(0, 65536, (9, 9), np.uint16))),
        written(COLOUR.quantize(16)),
        written(COLOUR.convert("1")),
        written(COLOUR.convert("RGBA")),
        written(COLOUR, transparency=(1, 2, 3)),
        written(COLOUR.convert("L"), transparency=7),
        written(COLOUR, save_all=True, append_images=[COLOUR.rotate(180)]),
        b"",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_other_kinds_are_left_to_pillow(content: bytes) -> None:
    assert _core.decode_png(content) is None


@pytest.mark.parametrize("options", [{"exif": TURNED}, {"pnginfo": TEXT}, {"transparency": (1, 2, 3)}, {}])
def test_a_file_is_read_as_pillow_reads_it(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.png").write_bytes(written(COLOUR, **options))
    found = decoding.load(tmp_path / "one.png")
    monkeypatch.setattr(_core, "decode_png", lambda _: None)
    expected = decoding.load(tmp_path / "one.png")
    assert (found.mode, found.size, found.format) == (expected.mode, expected.size, expected.format)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def said(read: Callable[[], Image.Image]) -> str | bytes:
    try:
        return read().tobytes()
    except DataError as error:
        return str(error)


@given(place=st.integers(0, 3_000), bit=st.integers(0, 7), cut=st.booleans())
def test_a_broken_file_gives_what_pillow_gives(place: int, bit: int, cut: bool, tmp_path_factory) -> None:
    whole = written(COLOUR)
    place %= len(whole)
    content = whole[:place] if cut else whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
    path = tmp_path_factory.getbasetemp() / "broken.png"
    path.write_bytes(content)
    found = said(lambda: decoding.load(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_core, "decode_png", lambda _: None)
        assert found == said(lambda: decoding.load(path))
