"""Whether two images are the same: by the bytes of the file, or of the pixels where there is none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.errors import DataError

from .decoding import handed_over
from .sources import Source

_SIZE = 8
"""Bytes of a digest: of a million images two others share one with a chance of 1 to 40 million."""


def digest(source: Source) -> int:
    """Return a number for the bytes of an image, a signed integer of 64 bits.

    Raises
    ------
    DataError
        It cannot be read.
    """
    content, found = source.content, hashlib.blake2b(digest_size=_SIZE)
    if isinstance(content, Path):
        try:
            with content.open("rb") as file:
                while part := file.read(1 << 20):
                    found.update(part)
        except OSError as error:
            raise DataError(f"{content}: cannot be read as an image: {error.strerror or error}") from error
    else:
        pixels = _pixels(content, source.said) if isinstance(content, Image.Image) else content
        found.update(f"{pixels.dtype.str}{pixels.shape}".encode())
        found.update(np.ascontiguousarray(pixels).tobytes())
    return int.from_bytes(found.digest(), "little", signed=True)


def _pixels(image: Image.Image, name: str) -> NDArray[Any]:
    with handed_over(image, name):
        return np.asarray(image)


class Digests:
    """Digests of the sources of one fit, each made once: a file is read to its end for it."""

    def __init__(self) -> None:
        # By identity: two sources that are alike may be of two files. A source that is kept keeps its own.
        self._made: dict[int, tuple[Source, int]] = {}

    def __call__(self, source: Source) -> int:
        """Return the :func:`digest` of a source."""
        known = self._made.get(id(source))
        if known is None:
            known = self._made[id(source)] = (source, digest(source))
        return known[1]
