"""Every way of handing over images, turned into named sources that are read one at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.errors import DataError

from .decoding import handed_over, upright
from .images import read_image
from .layout import collect_inputs, training_images
from .pixels import FULL_DEPTH, array_to_rgb, image_to_rgb
from .results_mark import refuse_results


@dataclass(frozen=True)
class Source:
    """One image to be read: its name in results, and a file or the pixels themselves."""

    name: str
    content: Path | Image.Image | NDArray[Any]

    @property
    def path(self) -> Path | None:
        """The file, where there is one."""
        return self.content if isinstance(self.content, Path) else None

    @property
    def said(self) -> str:
        """What a message calls it."""
        return f"image {self.name}" if self.path is None else str(self.path)

    def read(self, depth: int = FULL_DEPTH, channels: Sequence[int] = ()) -> Image.Image:
        """Return the image as 8-bit RGB, upright, whatever holds it; see `read_image` for the arguments.

        Raises
        ------
        DataError
            It cannot be one; the message names it.
        """
        if isinstance(self.content, Path):
            return read_image(self.content, depth, channels)
        if isinstance(self.content, Image.Image):
            with handed_over(self.content, self.said):
                pixels = upright(self.content)
            return image_to_rgb(pixels, self.said, depth, channels)
        return array_to_rgb(self.content, self.said, depth, channels)


ImageLike: TypeAlias = Union[str, "os.PathLike[str]", Image.Image, NDArray[Any], Source]
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
        sources = told_apart(list(prediction_sources(images)))
    if not sources:
        raise DataError("images must hold at least one image, got none")
    return sources


def told_apart(sources: list[Source]) -> list[Source]:
    """Return the sources; files whose names repeat are named from the folder that they have in common."""
    counts = Counter(source.name for source in sources)
    doubled = [
        number
        for number, source in enumerate(sources)
        if source.path is not None and source.name == source.path.name and counts[source.name] > 1
    ]
    paths = {number: Path(str(sources[number].path)).absolute() for number in doubled}
    try:
        root = os.path.commonpath([path.parent for path in paths.values()]) if paths else ""
    except ValueError:  # on drives of their own
        root = ""
    named = list(sources)
    for number, path in paths.items():
        named[number] = replace(sources[number], name=(path.relative_to(root) if root else path).as_posix())
    return named


def keeps_its_items(images: ImagesLike) -> bool:
    """Whether the images are all there at once; what makes them one by one may use a buffer again."""
    return isinstance(images, (str, os.PathLike, Image.Image, Source, list, tuple, np.ndarray))


def prediction_sources(images: ImagesLike) -> Iterator[Source]:
    """Yield the sources to score, in order, without reading ahead; a folder gives every image below it.

    What is a source already keeps its name. A tensor is an array, on whatever device. What an iterator hands
    over is copied before it is asked for more: cameras fill one buffer again and again.

    Raises
    ------
    DataError
        They are no images, a path is missing or is a result of this package, or an array is no image and no
        stack of images.
    """
    sources = _named(images)
    return sources if keeps_its_items(images) else map(_own, sources)


def _own(source: Source) -> Source:
    """Return the source with pixels of its own."""
    content = source.content
    if isinstance(content, Path):
        return source
    if not isinstance(content, Image.Image):
        return replace(source, content=content.copy())
    try:
        with handed_over(content, source.said):
            turned = upright(content)
    except DataError:  # it is read once more at its turn, and told then
        return source
    copied = turned.copy() if turned is content else turned
    copied.format = content.format
    return replace(source, content=copied)


def _named(images: ImagesLike) -> Iterator[Source]:
    if isinstance(images, (str, os.PathLike)):
        for path, name in collect_inputs([Path(images)]):
            yield Source(name, path)
        return
    if isinstance(images, (Image.Image, Source)):
        images = [images]
    elif is_array(images):
        images = _stack(as_array(images))
    elif not isinstance(images, Iterable):
        raise DataError(
            "images must be a folder, paths, PIL images or arrays, "
            f"got {type(images).__name__} {images!r:.80}"
        )
    for index, item in enumerate(images):
        if isinstance(item, Source):
            yield item
        elif isinstance(item, (str, os.PathLike)):
            refuse_results(Path(item))
            yield Source(Path(item).name, Path(item))
        else:
            yield Source(str(index), item if isinstance(item, Image.Image) else as_array(item))


def is_array(value: object) -> bool:
    """Whether a value is an array of numbers, or a tensor, and no list of paths."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "OUS"
    return hasattr(value, "detach") or hasattr(value, "__array_interface__")


def as_array(value: Any) -> NDArray[Any]:
    """Return a tensor, on any device, or anything like an array, as an array.

    What NumPy has no type for, bfloat16 above all, becomes float32 of the same values. An array of which
    something is masked stays one: whoever reads it as an image refuses it.
    """
    if np.ma.is_masked(value):
        masked: NDArray[Any] = value
        return masked
    if not hasattr(value, "detach"):
        return np.asarray(value)
    tensor = value.detach().cpu()
    try:
        return np.asarray(tensor)
    except TypeError:
        if not tensor.is_floating_point():
            raise DataError(f"a tensor must be of a type that NumPy has, got {tensor.dtype}") from None
        return np.asarray(tensor.float())


def _stack(array: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Return the images of an array: itself, or its first axis.

    Raises
    ------
    DataError
        It has its channels first: as a stack of grey images each channel would be scored.
    """
    shape = array.shape
    if array.ndim == 2 or (array.ndim == 3 and shape[2] in (1, 3, 4)):
        return [array]
    if array.ndim == 3 and shape[0] in (3, 4):
        grey = f"{shape[0]} grey images are {(*shape, 1)}"
        raise DataError(f"an array must have its channels last, (H, W, 3), got {shape}; {grey}")
    if array.ndim == 4 and shape[3] not in (1, 3, 4):
        raise DataError(f"an array of images must have its channels last, (n, H, W, 3), got {shape}")
    if array.ndim not in (3, 4):
        raise DataError(f"an array must be (H, W), (H, W, 3), (n, H, W) or (n, H, W, 3), got {shape}")
    return array
