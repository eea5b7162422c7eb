"""Image and mask files as arrays: every pixel format brought to 8-bit RGB, every broken file named."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pni_fast.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""File name endings that count as images, in lower case."""

_ALPHA_MODES = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
_LOSSY_FORMATS = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000"})
_ORIENTATION = 0x0112


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read one image file as 8-bit RGB, upright.

    Grey, 1-bit, palette and CMYK images are converted. Of 16-bit pixels the high byte is kept, as Pillow does
    for 16-bit colour (a fixed scale: no image is stretched by its own extremes); float pixels must lie in 0
    to 1. Transparent pixels are laid over white. The EXIF orientation is applied. Of several frames the first
    is read.

    Parameters
    ----------
    path
        The image file.

    Returns
    -------
    PIL.Image.Image
        Mode ``RGB``, fully decoded, no open file behind it.

    Raises
    ------
    DataError
        The file is missing, empty, truncated, no image, larger than Pillow's safety limit, or holds values
        outside the range of its format.
    """
    source = Path(path)
    return _to_rgb(_load(source), source)


def read_mask(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Read a ground-truth mask: True where a pixel is defective.

    A pixel is defective where it is visible and not black, whatever its value (data sets use 1, 255 or a code
    per defect); in lossy formats (JPEG, WebP), where black is not exactly 0, from half brightness on.

    Parameters
    ----------
    path
        The mask file; or a folder of masks (MVTec LOCO: one file per region), which are united.
    size
        Width and height that the mask must have, or None.

    Returns
    -------
    numpy.ndarray
        (height, width) bool.

    Raises
    ------
    DataError
        The mask cannot be read, or its size differs from `size`, or the masks of a folder differ in size.
    """
    source = Path(path)
    if not source.is_dir():
        mask = _nonzero(source)
        _check_size(source, mask, size)
        return mask
    parts = list_images(source)
    mask = read_mask(parts[0], size)
    for part in parts[1:]:
        mask |= read_mask(part, (mask.shape[1], mask.shape[0]))
    return mask


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an upright image, read from the file's header alone.

    Raises
    ------
    DataError
        The file is missing or no image.
    """
    source = Path(path)
    with _decoding(source), Image.open(source) as image:
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)


def list_images(root: str | os.PathLike[str]) -> list[Path]:
    """List the image files below a folder, sorted by relative path; links are followed, hidden names skipped.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    list of pathlib.Path
        At least one path, each starting with `root`.

    Raises
    ------
    DataError
        The folder is missing, is a file, or holds no file with a suffix of `IMAGE_SUFFIXES`.
    """
    folder = Path(root)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: must be a folder of images, got a file")
    found: list[Path] = []
    others = 0
    for path in _walk(folder, frozenset()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.append(path)
        else:
            others += 1
    if not found:
        seen = f"{others} other file{'s' if others != 1 else ''}" if others else "nothing"
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{folder}: must hold images ({known}), got {seen}")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link to a folder that holds it
        return
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif entry.is_file():
            yield entry


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad file into a `DataError` that names the file."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir():
        raise DataError(f"{path}: must be an image file, got a folder")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: cannot be read as an image: the file is empty")
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: cannot be read as an image: no known image format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        reason = f"larger than Pillow's safety limit (PIL.Image.MAX_IMAGE_PIXELS, {limit} million pixels)"
        raise DataError(f"{path}: cannot be read as an image: {reason}") from error
    except Exception as error:  # decoders of two dozen formats: garbage makes them raise nearly anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image: {reason}".splitlines()[0]) from error


def _load(path: Path) -> Image.Image:
    with _decoding(path), Image.open(path) as image:
        image.load()
        upright: Image.Image = image  # closing the file leaves decoded pixels
        if _orientation(image) != 1:
            upright = ImageOps.exif_transpose(image)
            upright.format = image.format
        return upright


def _orientation(image: Image.Image) -> int:
    # An EXIF block that cannot be parsed says nothing; the pixels may still be whole.
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image, path: Path) -> Image.Image:
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode in _ALPHA_MODES or "transparency" in image.info:
        return _over(image, "white", path)
    if mode.startswith("I"):
        return Image.fromarray(_high_byte(image, path)).convert("RGB")
    if mode == "F":
        return Image.fromarray(_unit_floats(image, path)).convert("RGB")
    with _decoding(path):
        return image.convert("RGB")


def _over(image: Image.Image, colour: str, path: Path) -> Image.Image:
    with _decoding(path):
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, colour), layer).convert("RGB")


def _high_byte(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise DataError(f"{path}: integer pixels must lie in 0 to 65535, got {low} to {high}")
    return (values.astype(np.uint16) >> 8).astype(np.uint8)


def _unit_floats(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 1.0):  # also refuses NaN
        raise DataError(f"{path}: float pixels must lie in 0 to 1, got {low:g} to {high:g}")
    scaled: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return scaled


def _nonzero(path: Path) -> NDArray[np.bool_]:
    image = _load(path)
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(image).astype(bool)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = _over(image, "black", path)
    with _decoding(path):
        values = np.asarray(image.convert("RGB")).max(axis=2)
    defective: NDArray[np.bool_] = values >= (128 if image.format in _LOSSY_FORMATS else 1)
    return defective


def _check_size(path: Path, mask: NDArray[np.bool_], size: tuple[int, int] | None) -> None:
    height, width = mask.shape
    if size is not None and (width, height) != tuple(size):
        wanted = f"{size[0]}×{size[1]}"
        raise DataError(f"{path}: a mask must have the size of its image, {wanted}, got {width}×{height}")
