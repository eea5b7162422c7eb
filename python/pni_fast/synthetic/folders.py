"""Folders of textures and drawn masks that a user brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def image_files(folder: Path, what: str) -> list[Path]:
    """Return the image files under `folder`, sorted, hidden ones left out.

    Parameters
    ----------
    folder
        Searched recursively.
    what
        What the images are for, named in the error.

    Raises
    ------
    DataError
        There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: {what} folder not found")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise DataError(f"{folder}: {what} folder holds no image ({', '.join(sorted(SUFFIXES))})")
    return files


def open_image(path: Path) -> NDArray[np.uint8]:
    """Return the image as uint8 RGB of shape (H, W, 3).

    Raises
    ------
    DataError
        The file is broken or not an image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: not a readable image: {error}") from error
