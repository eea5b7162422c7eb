"""Every way of handing over images, turned into named sources that are read one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.errors import DataError

from .images import read_image
from .layout import collect_inputs, training_images


@dataclass(frozen=True)
class Source:
    """One image to be read: its name in results, and a file or the pixels themselves."""

    name: str
    content: Path | Image.Image | NDArray[np.uint8]

    @property
    def path(self) -> Path | None:
        """The file, where there is one."""
        return self.content if isinstance(self.content, Path) else None

    def read(self) -> Image.Image:
        """Return the image as 8-bit RGB; raises DataError naming it when it cannot be one."""
        if isinstance(self.content, Path):
            return read_image(self.content)
        if isinstance(self.content, Image.Image):
            return self.content.convert("RGB")
        array = self.content
        grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[2] in (1, 3, 4)
        if array.dtype != np.uint8 or not (grey or colour) or 0 in array.shape:
            raise DataError(
                f"image {self.name}: an array must be uint8 of shape (H, W) or (H, W, 1, 3 or 4), "
                f"got {array.dtype} {array.shape}"
            )
        return Image.fromarray(array[:, :, 0] if colour and array.shape[2] == 1 else array).convert("RGB")


ImageLike: TypeAlias = Union[str, "os.PathLike[str]", Image.Image, NDArray[np.uint8], Source]
ImagesLike: TypeAlias = ImageLike | Iterable[ImageLike]


def training_sources(images: ImagesLike) -> list[Source]:
    """Return the sources to fit on: a category in MVTec layout gives its train/good images.

    Raises
    ------
    DataError
        There are none, or a path is missing.
    """
    if isinstance(images, (str, os.PathLike)):
        root = Path(images)
        sources = [
            Source(path.relative_to(root).as_posix() if path != root else path.name, path)
            for path in training_images(root)
        ]
    else:
        sources = list(prediction_sources(images))
    if not sources:
        raise DataError("images must hold at least one image, got none")
    return sources


def keeps_its_items(images: ImagesLike) -> bool:
    """Whether the images are all there at once; what makes them one by one may use a buffer again."""
    return isinstance(images, (str, os.PathLike, Image.Image, Source, list, tuple, np.ndarray))


def prediction_sources(images: ImagesLike) -> Iterator[Source]:
    """Yield the sources to score, in order, without reading ahead; a folder gives every image below it.

    What is a source already keeps its name. Pixels that may be overwritten when the next image is asked for
    are copied.
    """
    sources = _named(images)
    return sources if keeps_its_items(images) else map(_own, sources)


def _own(source: Source) -> Source:
    """Return the source with pixels of its own."""
    content = source.content
    if isinstance(content, Path):
        return source
    try:
        copied = content.copy()
    except Exception:  # what cannot be copied cannot be read either, and is told at its turn
        return source
    if isinstance(content, Image.Image):
        # What a copy drops and a conversion asks for.
        for name in ("format", "tag_v2"):
            if hasattr(content, name):
                setattr(copied, name, getattr(content, name))
    return replace(source, content=copied)


def _named(images: ImagesLike) -> Iterator[Source]:
    if isinstance(images, (str, os.PathLike)):
        for path, name in collect_inputs([Path(images)]):
            yield Source(name, path)
        return
    if isinstance(images, (Image.Image, Source)):
        images = [images]
    if isinstance(images, np.ndarray):
        is_one = images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
        images = [images] if is_one else images
    for index, item in enumerate(images):
        if isinstance(item, Source):
            yield item
        elif isinstance(item, (str, os.PathLike)):
            yield Source(Path(item).name, Path(item))
        elif isinstance(item, Image.Image):
            yield Source(str(index), item)
        else:
            yield Source(str(index), np.asarray(item))
