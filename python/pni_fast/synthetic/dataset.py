"""A sequence of synthetic defects, each a function of the seed and its own index alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .defects import KINDS, Kind, synthesize
from .textures import Textures


@dataclass(frozen=True)
class SyntheticDefect:
    """One image with a synthetic defect.

    Attributes
    ----------
    image
        uint8 (H, W, 3).
    mask
        bool (H, W), the altered region, never empty.
    kind
        Which of the four kinds.
    source
        Index of the normal image it was made from.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    kind: Kind
    source: int


class SyntheticDefects(Sequence[SyntheticDefect]):
    """Synthetic defects of the four kinds in equal parts, made when they are asked for.

    Item i depends on the seed and on i, never on the order of access or on the process that asks. Kinds take
    turns; every run of len(images) items uses every image once, in an order of its own.

    Parameters
    ----------
    images
        Normal images, uint8 (H, W, 3); anything with a length that gives one by index.
    seed
        Non-negative.
    textures
        Where foreign texture comes from. None: photographs inside scikit-image and procedural noise.
    drawn_masks
        Drawn masks, bool (h, w), for the drawn kind. None: shapes are generated.
    count
        How many items there are. None: four for each image.

    Raises
    ------
    ValueError
        There is no image, or `seed` or `count` is negative.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        seed: int,
        textures: Textures | None = None,
        drawn_masks: Sequence[NDArray[np.bool_]] | None = None,
        count: int | None = None,
    ) -> None:
        if len(images) == 0:
            raise ValueError("images must hold at least one image, got none")
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        if count is not None and count < 0:
            raise ValueError(f"count must be at least 0, got {count}")
        self._images = images
        self._seed = seed
        self._textures = textures
        self._masks = drawn_masks or ()
        self._count = len(KINDS) * len(images) if count is None else count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> SyntheticDefect:  # type: ignore[override]
        """Return item `index`; negative counts from the end. IndexError beyond either end."""
        position = index + self._count if index < 0 else index
        if not 0 <= position < self._count:
            raise IndexError(f"index must be in [{-self._count}, {self._count}), got {index}")
        source = self.source(position)
        kind = KINDS[position % len(KINDS)]
        rng = np.random.default_rng((self._seed, 0, position))
        image, mask = synthesize(self._images[source], kind, rng, textures=self._textures, masks=self._masks)
        return SyntheticDefect(image, mask, kind, source)

    def __iter__(self) -> Iterator[SyntheticDefect]:
        return (self[index] for index in range(self._count))

    def source(self, index: int) -> int:
        """Return which normal image item `index` is made from."""
        turn, place = divmod(index, len(self._images))
        return int(np.random.default_rng((self._seed, 1, turn)).permutation(len(self._images))[place])
