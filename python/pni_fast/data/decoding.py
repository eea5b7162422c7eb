"""Image files opened and decoded: only the formats we take, only up to a limit, every broken file named."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, cast

from PIL import Image, ImageFile, ImageOps

from pni_fast import _core
from pni_fast.errors import DataError, PniError

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jfif", ".jif", ".jp2", ".jpe", ".jpeg", ".jpg"}
    | {".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""File name endings that count as images, in lower case."""

_LONGEST_TEXT = 1 << 20
"""Bytes of a text in a PNG that are looked through."""

_MOST_BESIDE = 1 << 20
"""Bytes of a PNG beside four for each pixel, at most, for it to be read into memory whole."""

LIMIT_VARIABLE = "PNI_FAST_MAX_IMAGE_MIB"
"""Environment variable: the most that one image may take when decoded, in MiB."""

LIMIT_MIB = 512
"""Its default: 179 million pixels of colour."""

# Those of IMAGE_SUFFIXES, and no other: Pillow runs Ghostscript on PostScript, whatever the file is called.
_FORMATS = {
    "BMP": "BmpImagePlugin",
    "JPEG": "JpegImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "PNG": "PngImagePlugin",
    "PPM": "PpmImagePlugin",
    "TIFF": "TiffImagePlugin",
    "WEBP": "WebPImagePlugin",
}
_MASK_FORMATS = {**_FORMATS, "GIF": "GifImagePlugin"}
for _plugin in _MASK_FORMATS.values():  # a plugin enters its format into Image.OPEN when it is imported
    import_module(f"PIL.{_plugin}")

_LOCKS = tuple(threading.Lock() for _ in range(64))
"""Of PIL images that are handed over, by their identity: Pillow lets one thread at a time decode one."""

_ORIENTATION, _PHOTOMETRIC = 0x0112, 262
_NEGATIVE = "pni_fast: zero is white"


def load(path: Path, *, mask: bool = False) -> Image.Image:
    """Decode the first frame of a file, upright; no open file stays behind it.

    Raises
    ------
    DataError
        The file is missing, empty, truncated, of no format that we take, or larger than the limit.
    """
    with decoding(path), _opened(path) as file:
        image = _identified(path, file, mask=mask)
        return _plain(image, file) or upright(image)


def _plain(image: Image.Image, file: IO[bytes]) -> Image.Image | None:
    """Return the pixels of an open PNG of the kind that most are of, in a third of Pillow's time; else None.

    It is 8-bit grey or RGB, and lies as it is stored. What is wrong with a broken one is Pillow's to say.
    """
    if image.format != "PNG" or image.mode not in ("L", "RGB") or {"transparency", "exif"} & set(image.info):
        return None
    where, (width, height) = file.tell(), image.size
    plain = not _says_more(file) and _orientation(image, Image.Image.getexif) == 1
    pixels = None
    if plain and file.seek(0, os.SEEK_END) <= 4 * width * height + _MOST_BESIDE:
        file.seek(0)
        pixels = _core.decode_png(file.read())
    file.seek(where)
    if pixels is None or pixels.shape[:2] != (height, width):
        return None
    loaded = Image.fromarray(pixels if image.mode == "RGB" else pixels[:, :, 0])
    loaded.format = image.format
    return loaded


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an upright image, without its pixels unless EXIF lies behind them.

    Raises
    ------
    DataError
        The file is missing or no image.
    """
    source = Path(path)
    with decoding(source), _opened(source) as file:
        image = _identified(source, file)
        width, height = image.size
        if image.format == "PNG" and "exif" not in image.info and not _says_more(file):
            turned = _orientation(image, Image.Image.getexif) >= 5  # a PNG's own would decode it to find more
        else:
            turned = is_turned(image)
        return (height, width) if turned else (width, height)


def _says_more(file: IO[bytes]) -> bool:
    """Whether a PNG has anything behind its pixels that may say how it lies: EXIF, or XMP that does."""
    file.seek(8)
    behind = False
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        behind = behind or kind == b"IDAT"
        if not behind or kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            file.seek(size + 4, os.SEEK_CUR)
            continue
        content = file.read(size + 4) if size < _LONGEST_TEXT else b""
        compressed = content.startswith(b"XML:com.adobe.xmp\0\1")
        if kind == b"eXIf" or not content or compressed:
            return True
        if content.startswith(b"Raw profile type exif") or b"Orientation" in content:
            return True
    return False


def is_wide(path: Path) -> bool:
    """Whether a file holds grey pixels of more than 8 bits, by its header alone; False where it is broken."""
    try:
        with decoding(path), _opened(path) as file:
            return _identified(path, file).mode.startswith("I")
    except DataError:
        return False


def upright(image: Image.Image) -> Image.Image:
    """Return the decoded pixels of an image, turned as its EXIF orientation says."""
    _decode(image)  # which turns a TIFF by itself
    negative = is_negative(image)
    turned = image
    if _orientation(image) != 1:
        turned = ImageOps.exif_transpose(image)
        turned.format = image.format
    if negative:
        turned.info[_NEGATIVE] = True
    return turned


def _decode(image: Image.Image) -> None:
    # Pillow 13 maps a plain TIFF from its file as if it lay upright there, then turns it: let it read.
    if image.format != "TIFF" or not getattr(image, "filename", ""):
        image.load()
        return
    opened = cast(ImageFile.ImageFile, image)
    name, opened.filename = opened.filename, ""
    try:
        opened.load()
    finally:
        opened.filename = name


def is_negative(image: Image.Image) -> bool:
    """Whether 0 is white in the pixels: so in some TIFF files, which Pillow inverts up to 8 bits only."""
    if image.info.get(_NEGATIVE):
        return True
    wide = image.mode.startswith("I") or image.mode == "F"
    return wide and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


@contextlib.contextmanager
def handed_over(image: Image.Image, name: str) -> Iterator[None]:
    """Let this thread alone read a PIL image of the caller's, who may hand over one object many times.

    Raises
    ------
    DataError
        It has no pixels, or a decoder raises on it.
    """
    width, height = image.size
    if not width or not height:  # which would decode to no more than what it is laid over
        raise DataError(f"{name}: an image must have pixels, got {width}×{height}")
    with _LOCKS[id(image) // 64 % len(_LOCKS)], decoding(name):
        yield


@contextlib.contextmanager
def decoding(path: Path | str) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad picture into a `DataError` that names it."""
    try:
        yield
    except PniError:
        raise
    except FileNotFoundError as error:
        if isinstance(path, Path) and path.is_symlink():
            target = path.readlink()
            raise DataError(
                f"{path}: cannot be read as an image: a link to {target}, which is gone"
            ) from error
        raise DataError(f"{path}: no such file") from error
    except Exception as error:  # decoders of two dozen formats: garbage makes them raise nearly anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image: {reason}".splitlines()[0]) from error


def _opened(path: Path) -> IO[bytes]:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"{path}: must be an image file, got a folder")
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: must be an image file, got a device or a pipe")
    if found.st_size == 0:
        raise DataError(f"{path}: cannot be read as an image: the file is empty")
    return path.open("rb")


def _identified(path: Path, file: IO[bytes], *, mask: bool = False) -> Image.Image:
    """Return the image of an open file, not decoded yet.

    As `Image.open` does it, but for Pillow's own limit on pixels: that is one for the whole process, and it
    warns before it refuses.
    """
    prefix = file.read(16)
    for form in _MASK_FORMATS if mask else _FORMATS:
        factory, accept = Image.OPEN[form]
        if accept is not None and not accept(prefix):
            continue
        file.seek(0)
        try:
            # Without the file's name pixels are read, not mapped: a file cut short meanwhile is no crash.
            image = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
        _check_size(path, image)
        return image
    raise DataError(f"{path}: cannot be read as an image: no known image format")


def _check_size(path: Path, image: Image.Image) -> None:
    limit = _limit()
    width, height = image.size
    each = 4 if image.mode in {"RGBA", "CMYK", "I", "F", "PA"} else 3  # whatever it is, RGB comes of it
    taken = width * height * each
    if taken > limit << 20:
        raise DataError(
            f"{path}: takes {-(-taken >> 20)} MiB when decoded ({width}×{height} pixels), more than the "
            f"limit of {limit}; set the environment variable {LIMIT_VARIABLE} to raise it"
        )


def _limit() -> int:
    text = os.environ.get(LIMIT_VARIABLE, "").strip() or str(LIMIT_MIB)
    if not text.isdecimal() or int(text) < 1:
        raise PniError(f"{LIMIT_VARIABLE} must be a whole number of MiB, at least 1, got {text!r}")
    return int(text)


def is_turned(image: Image.Image) -> bool:
    """Whether an image that is not upright yet lies on its side, by its EXIF orientation."""
    # Pillow gives the size of a TIFF as it will be when upright, of the others as stored.
    return image.format != "TIFF" and _orientation(image) >= 5


def _orientation(
    image: Image.Image, getexif: Callable[[Image.Image], Image.Exif] = lambda image: image.getexif()
) -> int:
    # An EXIF block that cannot be parsed says nothing; the pixels may still be whole.
    try:
        value = getexif(image).get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
