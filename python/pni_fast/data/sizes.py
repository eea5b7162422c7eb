"""Sizes of images, without their pixels where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pni_fast.errors import DataError

from .decoding import image_size
from .sources import Source


def size_of(source: Source) -> tuple[int, int]:
    """Return width and height of an image, from its file's header where it has one."""
    content = source.content
    if isinstance(content, Path):
        return image_size(content)
    if isinstance(content, Image.Image):
        return content.size
    return int(content.shape[1]), int(content.shape[0])


def common_size(sources: Sequence[Source]) -> tuple[int, int] | None:
    """Return the size that all images have, None where they differ or one has none."""
    sizes = set()
    for source in sources:
        try:
            sizes.add(size_of(source))
        except DataError:
            continue
    return sizes.pop() if len(sizes) == 1 else None
