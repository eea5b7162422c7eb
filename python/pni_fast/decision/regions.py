"""Where a defective image is defective: connected regions of its map, in pixels of the photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Geometry


@dataclass(frozen=True)
class Region:
    """One connected region above the pixel threshold.

    Attributes
    ----------
    x, y, width, height
        The box around it, in whole pixels of the photograph as it was; x to the right, y down.
    area
        Pixels of the photograph that it covers.
    peak
        The highest value of the map in it.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float


def regions(
    anomaly_map: NDArray[np.float32],
    threshold: float,
    size: tuple[int, int],
    geometry: Geometry,
    *,
    min_area: float = 0,
) -> list[Region]:
    """Return the regions of a map above a threshold, the highest peak first.

    Parameters
    ----------
    anomaly_map
        (height, width).
    threshold
        A pixel is marked above it.
    size
        Width and height of the photograph.
    geometry
        How it was brought to size, which is undone.
    min_area
        Regions of fewer pixels of the photograph are left out.
    """
    labels, count = labelled(anomaly_map > threshold)
    found = []
    across, down = size[0] / geometry.resized[1], size[1] / geometry.resized[0]
    cut_rows, cut_columns = geometry.cut
    for rows, columns, own in _boxes(labels, count):
        area = round(float(own.sum()) * across * down)
        if area < min_area:
            continue
        left, right = _span(columns, cut_columns.start, across, size[0])
        top, bottom = _span(rows, cut_rows.start, down, size[1])
        peak = float(anomaly_map[rows, columns][own].max())
        found.append(Region(left, top, right - left, bottom - top, max(area, 1), peak))
    return sorted(found, key=lambda one: (-one.peak, one.y, one.x))


def marked(
    anomaly_map: NDArray[np.float32],
    threshold: float,
    size: tuple[int, int],
    geometry: Geometry,
    *,
    min_area: float = 0,
) -> NDArray[np.bool_]:
    """Return the pixels of a map that lie in its regions; arguments as for :func:`regions`."""
    above = anomaly_map > threshold
    if min_area <= 0:
        return above
    labels, count = labelled(above)
    pixel = size[0] * size[1] / math.prod(geometry.resized)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * pixel
    kept = np.rint(sizes) >= min_area
    kept[0] = False
    inside: NDArray[np.bool_] = kept[labels]
    return inside


def labelled(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Return the regions of a mask, joined also at corners, by numbers from 1 in reading order.

    Runs of each row, joined with those they touch in the row above: what `scipy.ndimage.label` does, without
    scipy, which a machine beside the belt need not have.
    """
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    _, stop = np.nonzero(edges == -1)
    parent = list(range(len(row)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(row, np.arange(height + 1)).tolist()
    starts, stops = start.tolist(), stop.tolist()
    for y in range(1, height):
        above, end = first[y - 1], first[y]
        for run in range(first[y], first[y + 1]):
            while above < end and stops[above] < starts[run]:
                above += 1
            touching = above
            while touching < end and starts[touching] <= stops[run]:
                one, other = root(run), root(touching)
                parent[max(one, other)] = min(one, other)
                touching += 1
    roots = [root(run) for run in range(len(parent))]
    numbers = {run: number for number, run in enumerate(dict.fromkeys(roots), 1)}
    labels = np.zeros((height, width), dtype=np.int64)
    for run, own in enumerate(roots):
        labels[row[run], starts[run] : stops[run]] = numbers[own]
    return labels, len(numbers)


def _boxes(labels: NDArray[np.int64], count: int) -> list[tuple[slice, slice, NDArray[np.bool_]]]:
    """Return rows, columns and own pixels of every region."""
    found = []
    for number in range(1, count + 1):
        own = labels == number
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        found.append((*box, own[box]))
    return found


def _span(part: slice, start: int, scale: float, most: int) -> tuple[int, int]:
    """Return the pixels of a side of the photograph that pixels of the map touch."""
    low = min(math.floor((part.start + start) * scale + 1e-9), most - 1)
    return low, max(low + 1, min(most, math.ceil((part.stop + start) * scale - 1e-9)))
