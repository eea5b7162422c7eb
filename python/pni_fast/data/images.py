"""Image and mask files as arrays: every pixel format brought to 8-bit RGB, every broken file named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.errors import DataError

from .decoding import decoding, is_negative, load
from .listing import list_masks
from .pixels import FULL_DEPTH, has_alpha, image_to_rgb, over

_LOSSY_FORMATS = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000"})


def read_image(
    path: str | os.PathLike[str], depth: int = FULL_DEPTH, channels: Sequence[int] = ()
) -> Image.Image:
    """Read one image file as 8-bit RGB, upright.

    Grey, 1-bit, palette and CMYK images are converted. Of integer pixels above 8 bits the highest 8 of
    `depth` bits are kept (a fixed scale: no image is stretched by its own extremes), of 16-bit colour always
    the high byte, as Pillow does; float pixels must lie in 0 to 1. Where 0 is white, pixels are inverted.
    Transparent pixels are laid over white. The EXIF orientation is applied. Of several frames the first is
    read.

    Parameters
    ----------
    path
        The image file.
    depth
        Bits of grey integer pixels above 8, from 8 to 16: 12 for a camera of 12 bits in files of 16.
    channels
        The channels of the file, counted from 0, that are taken as red, green and blue, or the one that is
        taken as grey; empty: its own colours.

    Returns
    -------
    PIL.Image.Image
        Mode ``RGB``, fully decoded, no open file behind it.

    Raises
    ------
    DataError
        The file is missing, empty, truncated, no image, larger than the limit that PNI_FAST_MAX_IMAGE_MIB
        sets, holds values outside the range of its format, or has no such channels.
    """
    source = Path(path)
    return image_to_rgb(load(source), str(source), depth, channels)


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
    parts = list_masks(source)
    mask = read_mask(parts[0], size)
    for part in parts[1:]:
        mask |= read_mask(part, (mask.shape[1], mask.shape[0]))
    return mask


def _nonzero(path: Path) -> NDArray[np.bool_]:
    image = load(path, mask=True)
    if image.mode.startswith("I") or image.mode == "F":
        black = (1 if image.mode == "F" else 65535) if is_negative(image) else 0
        marked: NDArray[np.bool_] = np.asarray(image) != black
        return marked
    form = image.format
    if has_alpha(image):
        image = over(image, "black", str(path))
    with decoding(path):
        values = np.asarray(image.convert("RGB")).max(axis=2)
    defective: NDArray[np.bool_] = values >= (128 if form in _LOSSY_FORMATS else 1)
    return defective


def _check_size(path: Path, mask: NDArray[np.bool_], size: tuple[int, int] | None) -> None:
    height, width = mask.shape
    if size is not None and (width, height) != tuple(size):
        wanted = f"{size[0]}×{size[1]}"
        raise DataError(f"{path}: a mask must have the size of its image, {wanted}, got {width}×{height}")
