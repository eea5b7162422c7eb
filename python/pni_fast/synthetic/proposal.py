"""A proposed defect, and what makes its mask exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

VISIBLE = 10
"""A pixel counts as changed when its most changed channel differs by more grey levels than this."""
SHARE = 0.4
"""A place is part of a defect when at least this share of the altered pixels around it are changed ones."""


class Proposal(NamedTuple):
    """An altered image, uint8 (H, W, 3), and the region, bool (H, W), outside which it is untouched."""

    image: NDArray[np.uint8]
    region: NDArray[np.bool_]


def blend(image: NDArray[np.uint8], fill: NDArray[np.uint8], alpha: NDArray[np.float32]) -> Proposal:
    """Mix `fill` into `image` with weight `alpha` (H, W) in [0, 1]; the region is where alpha is not 0."""
    mixed = image + alpha[..., None] * (fill.astype(np.float32) - image)
    return Proposal(np.rint(mixed).astype(np.uint8), alpha > 0.0)


def exact(image: NDArray[np.uint8], proposal: Proposal) -> Proposal:
    """Keep the part of a defect that can be seen and put the original pixels back everywhere else.

    A piece of plain background pasted onto plain background changes nothing: a mask that called it a defect
    would teach the network to see what is not there. Changed pixels are counted over a small neighbourhood,
    so that single ones that happen to agree do not become holes; gaps narrower than about a fiftieth of the
    image are closed, and specks that only noise left over are dropped.

    Parameters
    ----------
    image
        The normal image.
    proposal
        The altered one and the region altered.

    Returns
    -------
    Proposal
        Equal to `image` outside the region; the region, perhaps empty, is the exact mask.
    """
    mask = np.zeros(image.shape[:2], dtype=np.bool_)
    rows, columns = np.flatnonzero(proposal.region.any(axis=1)), np.flatnonzero(proposal.region.any(axis=0))
    if not rows.size:
        return Proposal(image, mask)
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    inside = proposal.region[box]
    difference = np.abs(proposal.image[box].astype(np.int16) - image[box]).max(axis=2) * inside
    # Divided by the smoothed region, so that edges and thin strokes are not faded by their surroundings.
    sigma = max(0.7, min(image.shape[:2]) / 320.0)
    changed = (difference > VISIBLE).astype(np.float32)
    smoothed = ndimage.gaussian_filter(changed, sigma, mode="constant")
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma, mode="constant")
    mask[box] = _whole(inside & (smoothed > SHARE * weight), inside, image.shape[:2])
    return Proposal(np.where(mask[..., None], proposal.image, image), mask)


def _whole(
    visible: NDArray[np.bool_], inside: NDArray[np.bool_], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Close narrow gaps of `visible` as far as `inside` reaches, fill its holes and drop its specks."""
    reach = max(1.0, min(shape) / 100.0)
    padded = np.pad(visible, int(reach) + 1)
    grown = ndimage.distance_transform_edt(~padded) <= reach
    closed = ndimage.distance_transform_edt(grown) > reach
    trim = int(reach) + 1
    whole = ndimage.binary_fill_holes(closed[trim:-trim, trim:-trim] | visible) & inside
    labels, count = ndimage.label(whole)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept: NDArray[np.bool_] = (sizes >= max(4, shape[0] * shape[1] // 20_000))[labels]
    return kept
