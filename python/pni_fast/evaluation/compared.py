"""Normal images beside those that a person will look at: what a model with context held them against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.config import Geometry
from pni_fast.data import Category, Source
from pni_fast.data.cropping import read_crop
from pni_fast.errors import DataError
from pni_fast.progress import Progress, silent

PICTURES = 6
"""Normal images shown beside one image, the most alike."""

SIDE = 96
"""Of such a picture, in pixels."""


class Comparing(Protocol):
    """The part of a fitted model that knows what images are like."""

    @property
    def geometry(self) -> Geometry:
        """How images are cropped."""
        ...

    def alike(self, images: Sequence[Source], /) -> Iterable[tuple[str, ...]]:
        """Return for every image the names of training images, the most alike first."""
        ...


@dataclass(frozen=True)
class Compared:
    """What one image was held against.

    Attributes
    ----------
    names
        Of the training images, the most alike first.
    pictures
        The first of them by name, uint8 (h, w, 3) and small, as far as they lie among the category's training
        images.
    """

    names: tuple[str, ...]
    pictures: dict[str, NDArray[np.uint8]]


def compare(
    model: Comparing, sources: Sequence[Source], category: Category, progress: Progress = silent
) -> dict[str, Compared]:
    """Return by name what images were held against; nothing for a model without context.

    Parameters
    ----------
    model
        Tells the names.
    sources
        The images.
    category
        Its training images are looked up by the names the model knows.
    progress
        Told the stage ``compare`` in images, where there is something to compare with.
    """
    known: dict[str, list[Path]] = {}
    for path in category.train:
        known.setdefault(path.name, []).append(path)
    shown: dict[str, NDArray[np.uint8] | None] = {}

    def picture(name: str) -> NDArray[np.uint8] | None:
        if name not in shown:
            paths = known.get(name.rpartition("/")[2], [])
            exact = [path for path in paths if f"/{path.as_posix()}".endswith(f"/{name}")]
            shown[name] = _small(exact[0], model.geometry) if len(exact) == 1 else None
        return shown[name]

    found: dict[str, Compared] = {}
    for done, (source, names) in enumerate(zip(sources, model.alike(sources), strict=True), 1):
        if names:
            progress("compare", done, len(sources))
            pictures = {name: image for name in names[:PICTURES] if (image := picture(name)) is not None}
            found[source.name] = Compared(names, pictures)
    return found


def _small(path: Path, geometry: Geometry) -> NDArray[np.uint8] | None:
    """Return a training image as the model sees it, small; None where it cannot be read any more."""
    try:
        crop = Image.fromarray(read_crop(Source(path.name, path), geometry))
    except DataError:
        return None
    crop.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(crop)
