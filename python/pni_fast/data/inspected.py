"""The part of a picture that is inspected: a mask, and the patches and pixels that it leaves."""

from __future__ import annotations

import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry
from pni_fast.errors import PniError

from .cropping import crop_mask
from .images import read_image

RoiLike: TypeAlias = Union[str, "os.PathLike[str]", NDArray[Any]]
"""A mask: an image file in which white is inspected, or an array (H, W), true there."""


class Inspected:
    """What of a crop is inspected.

    A patch outside takes the feature of the nearest patch inside: no patch outside enters a coreset, a count
    or a score, and nothing that works on whole maps has to know. A network sees farther than a patch: one
    inside, near the border, still knows of what is beyond it.

    Parameters
    ----------
    mask
        (H, W) bool, True where the crop is inspected.
    grid
        (h, w) of the feature maps.
    """

    def __init__(self, mask: NDArray[np.bool_], grid: tuple[int, int]) -> None:
        self.mask, self.grid = mask, grid

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """(h, w): the patches that any inspected pixel lies in."""
        edges = [
            np.arange(count) * side // count for count, side in zip(self.grid, self.mask.shape, strict=True)
        ]
        rows = np.logical_or.reduceat(self.mask, edges[0], axis=0)
        inside: NDArray[np.bool_] = np.logical_or.reduceat(rows, edges[1], axis=1)
        return inside

    @cached_property
    def sources(self) -> NDArray[np.int64]:
        """(h·w,): for every patch itself, or the nearest one inside; of equals the first."""
        places = np.stack(np.unravel_index(np.arange(self.inside.size), self.grid), axis=1)
        known = np.flatnonzero(self.inside.ravel())
        found = np.arange(self.inside.size)
        for place in np.flatnonzero(~self.inside.ravel()):
            found[place] = known[((places[known] - places[place]) ** 2).sum(axis=1).argmin()]
        return found

    @property
    def share(self) -> float:
        """Of the patches, how many are inside."""
        return float(self.inside.mean())

    def fill(self, features: NDArray[np.floating[Any]]) -> None:
        """Write features of inside over those outside, in place; (n, h, w, d)."""
        for image in features:
            flat = image.reshape(-1, image.shape[-1])
            flat[:] = flat[self.sources]

    def shown(self, anomaly_map: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a map (H, W) with 0 outside."""
        cut: NDArray[np.float32] = np.where(self.mask, anomaly_map, np.float32(0))
        return cut


def read_inspected(mask: RoiLike, geometry: Geometry, size: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Return the crop of a mask in which white is inspected, bool (H, W).

    Parameters
    ----------
    mask
        An image file, or an array (H, W) of bool.
    geometry
        How images are cropped.
    size
        Width and height of the images, None where they differ; a mask of another size is scaled, and a
        warning says so.

    Raises
    ------
    DataError
        The file cannot be read.
    PniError
        It is neither a file nor an array (H, W) without gaps, or nothing of the crop is inspected.
    """
    if isinstance(mask, np.ndarray):
        if np.ma.is_masked(mask) or (mask.dtype.kind == "f" and np.isnan(mask).any()):
            raise PniError("roi: a mask must be true or false everywhere, got NaN or masked values")
        name, white = "roi", mask.astype(bool)
    elif not isinstance(mask, (str, os.PathLike)):
        raise PniError(
            f"roi must be an image file or an array (H, W), true where images are inspected, "
            f"got {type(mask).__name__} {mask!r:.80}"
        )
    else:
        name = os.fspath(mask)
        white = np.asarray(read_image(Path(mask)).convert("L")) >= 128
    if white.ndim != 2 or not white.size:
        raise PniError(f"{name}: a mask must be (H, W), at least 1 each, got {white.shape}")
    own = (white.shape[1], white.shape[0])
    if size is not None and own != tuple(size):
        warnings.warn(
            f"{name}: {own[0]}×{own[1]}, the images are {size[0]}×{size[1]}: the mask is scaled to them",
            stacklevel=2,
        )
    crop = crop_mask(white, geometry)
    if not crop.any():
        raise PniError(
            f"{name}: must be white where images are inspected, got no white pixel inside the crop"
        )
    return crop
