"""One defect of a given kind in one normal image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .cutpaste import cutpaste, cutpaste_scar
from .draem import draem
from .drawing import drawing
from .proposal import Proposal, exact
from .textures import Textures

Kind = Literal["cutpaste", "cutpaste_scar", "draem", "drawing"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The four kinds of section 3.3, used in equal parts."""

ATTEMPTS = 20
SMALLEST_SIDE = 16
LARGEST_SHARE = 0.5
"""A defect over more of the image than this leaves too little that is normal; another is drawn."""


def synthesize(
    image: NDArray[np.uint8],
    kind: Kind,
    rng: np.random.Generator,
    *,
    textures: Textures | None = None,
    masks: Sequence[NDArray[np.bool_]] = (),
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Put one synthetic defect into a normal image (paper section 3.3).

    Parameters
    ----------
    image
        Normal image, uint8 (H, W, 3), at least 16 pixels each way. It is not changed.
    kind
        ``"cutpaste"``, ``"cutpaste_scar"``, ``"draem"`` or ``"drawing"``.
    rng
        The only source of chance: an equal generator gives an equal defect.
    textures
        Where foreign texture comes from. None: photographs inside scikit-image and procedural noise.
    masks
        Drawn masks, bool (h, w) of any size, for ``"drawing"``. Empty: shapes are generated.

    Returns
    -------
    image
        uint8 (H, W, 3), equal to the input outside the mask.
    mask
        bool (H, W), never empty: the region that was visibly altered.

    Raises
    ------
    ValueError
        The image has another type, shape or is too small, or the kind is unknown.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 of shape (H, W, 3), got {image.dtype} of shape {image.shape}")
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise ValueError(f"image must be at least {SMALLEST_SIDE} pixels each way, got {image.shape[:2]}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    textures = textures or _BUILT_IN
    pixels = image.shape[0] * image.shape[1]
    smallest = max(4, pixels // 10_000)
    for _ in range(ATTEMPTS):
        proposal = exact(image, _propose(image, kind, rng, textures, masks))
        if smallest <= np.count_nonzero(proposal.region) <= LARGEST_SHARE * pixels:
            return proposal.image, proposal.region
    return _opposite(image, rng)


_BUILT_IN = Textures()


def _propose(
    image: NDArray[np.uint8],
    kind: Kind,
    rng: np.random.Generator,
    textures: Textures,
    masks: Sequence[NDArray[np.bool_]],
) -> Proposal:
    if kind == "cutpaste":
        return cutpaste(image, rng)
    if kind == "cutpaste_scar":
        return cutpaste_scar(image, rng)
    if kind == "draem":
        return draem(image, rng, textures)
    return drawing(image, rng, textures, masks)


def _opposite(
    image: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Shift a rectangle's grey levels by half the range.

    The last resort for an image without any structure: pieces of it pasted into it cannot be seen.
    """
    region = cutpaste(image, rng).region
    shifted = np.where(image < 128, image + 96, image - np.uint8(96))
    return np.where(region[..., None], shifted, image).astype(np.uint8), region
