"""The image sheet of the paper's figure 6: ground truth, prediction at the F1 threshold, anomaly map."""

from __future__ import annotations

from collections import Counter
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.data.cropping import resize_mask
from pni_fast.evaluation import Evaluation, Result
from pni_fast.runtime.files import atomic_path

from .lettering import set_title

MOST = 8
"""Images on a sheet."""

PANEL = 172
"""Side of an image on a sheet, in pixels; a larger one would be thinned out when it is drawn."""

_TRUTH, _FOUND = (209, 69, 59), (36, 87, 197)


def write_sheet(evaluation: Evaluation, path: Path) -> bool:
    """Draw a sheet of defective images that have a mask, every kind of defect in turn.

    Parameters
    ----------
    evaluation
        The images, masks and maps.
    path
        PNG to write, whole or not at all.

    Returns
    -------
    bool
        False, and nothing written, where no defective image has a mask.
    """
    shown, threshold = choose(evaluation.results), evaluation.metrics.pixel_threshold
    if not shown or threshold is None:
        return False
    from matplotlib.figure import Figure

    # Colours mean the same on every image: from the lowest normal value to the highest value shown.
    low = evaluation.map_range[0]
    high = max(float(found.anomaly_map.max()) for found in shown)
    width = 1.6 * len(shown) + 0.3
    figure = Figure(figsize=(width, 5.1))
    inside = {"left": 0.3 / width, "right": 1.0, "bottom": 0.0, "top": 0.95, "wspace": 0.02, "hspace": 0.02}
    panels = figure.subplots(3, len(shown), squeeze=False, gridspec_kw=inside)
    for column, found in enumerate(shown):
        assert found.mask is not None  # chosen for having one
        predicted = found.anomaly_map >= threshold
        panels[0][column].imshow(panel(found.image, found.mask, _TRUTH), interpolation="nearest")
        panels[1][column].imshow(panel(found.image, predicted, _FOUND), interpolation="nearest")
        panels[2][column].imshow(found.anomaly_map, cmap="turbo", vmin=low, vmax=max(high, low + 1e-6))
        set_title(panels[0][column], found.name, size=6)
    for row, label in zip(panels, ("ground truth", "prediction", "anomaly map"), strict=True):
        row[0].set_ylabel(label, fontsize=8)
        for axes in row:
            axes.set(xticks=[], yticks=[])
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return True


def choose(results: list[Result]) -> list[Result]:
    """Return up to `MOST` defective images with marked pixels.

    Kinds of defect take turns; the images of each are evenly spaced over all it has.
    """
    kinds: dict[str, list[Result]] = {}
    for found in results:
        if found.sample.defect is not None and found.mask is not None and found.mask.any():
            kinds.setdefault(found.sample.defect, []).append(found)
    turns = chain.from_iterable(zip_longest(*([kind] * len(kinds[kind]) for kind in sorted(kinds))))
    shares = Counter([kind for kind in turns if kind is not None][:MOST])
    spread = [
        [kinds[kind][i * len(kinds[kind]) // share] for i in range(share)] for kind, share in shares.items()
    ]
    return [found for turn in zip_longest(*spread) for found in turn if found is not None]


def panel(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return the tinted image no larger than a panel, with every marked pixel still marked."""
    scale = min(1.0, PANEL / max(image.shape[:2]))
    shape = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    small = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
    return tinted(np.asarray(small), resize_mask(mask, shape), colour)


def tinted(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return the image, (H, W, 3), with half of `colour` where the mask, (H, W), is True."""
    mixed: NDArray[Any] = image.copy()
    mixed[mask] = (image[mask].astype(np.uint16) + np.array(colour, dtype=np.uint16)) // 2
    return mixed
