"""A contact sheet: synthetic defects at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pni_fast.data.cropping import resize_mask

from .dataset import SyntheticDefect
from .defects import KINDS

THUMBNAIL = 192
"""Side, in pixels, that the longer side of an image is brought to."""
CAPTION = 16


def contact_sheet(items: Sequence[SyntheticDefect]) -> Image.Image:
    """Lay out defects on one sheet: a pair of rows for each kind, the images above, below them the masks.

    Parameters
    ----------
    items
        What to show, in any order.

    Returns
    -------
    PIL.Image.Image
        RGB. In the lower row of a pair the image is dimmed and the mask red, its outline white.

    Raises
    ------
    ValueError
        There is nothing to show.
    """
    if not items:
        raise ValueError("items must hold at least one defect, got none")
    rows = [(kind, [item for item in items if item.kind == kind]) for kind in KINDS]
    rows = [(kind, found) for kind, found in rows if found]
    columns = max(len(found) for _, found in rows)
    pitch = CAPTION + 2 * THUMBNAIL
    sheet = Image.new("RGB", (columns * THUMBNAIL, len(rows) * pitch), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (kind, found) in enumerate(rows):
        pen.text((4, row * pitch + 2), kind, fill="black")
        for column, item in enumerate(found):
            above, below = _pair(item)
            left, top = column * THUMBNAIL, row * pitch + CAPTION
            sheet.paste(above, (left, top))
            sheet.paste(below, (left, top + THUMBNAIL))
    return sheet


def _pair(item: SyntheticDefect) -> tuple[Image.Image, Image.Image]:
    photograph = Image.fromarray(item.image)
    photograph.thumbnail((THUMBNAIL, THUMBNAIL))
    mask = resize_mask(item.mask, (photograph.height, photograph.width))
    marked = np.asarray(photograph) // 3
    marked[mask] = (220, 30, 30)
    marked[ndimage.binary_dilation(mask) & ~mask] = 255
    return photograph, Image.fromarray(marked)
