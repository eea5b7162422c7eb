"""Plain NumPy oracle of every kernel: the definition of a right answer, written to be read.

Distances are float64 of the float32 (or float16) values, summed in the order the core fixes: element i into
lane i % 16, the lanes in a tree. So the oracle and the kernels agree to the last bit, exact ties included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .packing import pack

_LANES = 16


def squared_distances(rows: NDArray[np.floating], center: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the canonical squared distance of every row of (n, d) to one (d,) center."""
    difference = rows.astype(np.float64) - center.astype(np.float64)
    missing = -difference.shape[1] % _LANES
    blocks = np.pad(difference * difference, ((0, 0), (0, missing))).reshape(len(rows), -1, _LANES)
    lanes = np.zeros((len(rows), _LANES))
    for i in range(blocks.shape[1]):
        lanes = lanes + blocks[:, i]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def greedy_coreset(
    features: NDArray[np.floating],
    size: int,
    *,
    start: int = 0,
    initial: NDArray[np.floating] | None = None,
    assign: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64] | None, NDArray[np.float32] | None]:
    """Return indices, radii, and labels and distances; see `pni_fast.greedy_coreset`."""
    best = np.full(len(features), np.inf)
    nearest_center = np.zeros(len(features), dtype=np.int64)
    picked = np.zeros(len(features), dtype=bool)
    labels: NDArray[np.int64] | None = None
    distances: NDArray[np.float32] | None = None
    centers = 0

    def add(center: NDArray[np.floating]) -> None:
        nonlocal centers, labels, distances
        distance = squared_distances(features, center)
        closer = distance < best
        best[closer], nearest_center[closer] = distance[closer], centers
        centers += 1
        if centers == assign:
            labels, distances = nearest_center.copy(), _root(best)

    for center in [] if initial is None else initial:
        add(center)
    indices: list[int] = []
    radii: list[float] = []
    for _ in range(size):
        index = start if centers == 0 else int(np.argmax(np.where(picked, -1.0, best)))
        indices.append(index)
        radii.append(float(best[index]))
        picked[index] = True
        add(features[index])
    return np.array(indices, dtype=np.int64), _root(np.array(radii)), labels, distances


def nearest(
    features: NDArray[np.floating], centers: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return index of and distance to the nearest center of every row; see `pni_fast.nearest`."""
    squared = np.stack([squared_distances(features, center) for center in centers], axis=1)
    indices = squared.argmin(axis=1)
    return indices.astype(np.int64), _root(squared[np.arange(len(features)), indices])


def position_histogram(labels: NDArray[np.int64], n_classes: int, *, patch: int = 9) -> NDArray[np.float32]:
    """Return the share of each class around each position; see `pni_fast.position_histogram`."""
    _, height, width = labels.shape
    histogram = np.empty((height, width, n_classes), dtype=np.float32)
    radius = patch // 2
    for y in range(height):
        for x in range(width):
            window = labels[:, max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
            histogram[y, x] = np.bincount(window.ravel(), minlength=n_classes) / window.size
    return histogram


def position_sets(
    labels: NDArray[np.uint16], images: NDArray[np.int64], n_classes: int, *, patch: int = 9
) -> NDArray[np.uint8]:
    """Return the packed classes around each position; see `pni_fast.kernels.sets.position_sets`."""
    if not len(images):
        _, height, width = labels.shape
        return pack(np.zeros((height * width, n_classes), bool))
    found = position_histogram(labels[images].astype(np.int64), n_classes, patch=patch) > 0
    return pack(found.reshape(-1, n_classes))


def max_likelihood(
    features: NDArray[np.floating],
    coreset: NDArray[np.floating],
    groups: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return distance to and index of the nearest allowed coreset row; see `pni_fast.max_likelihood`."""
    squared = np.stack([squared_distances(features, center) for center in coreset], axis=1)
    squared = np.where(allowed[:, groups], squared, np.inf)
    indices = squared.argmin(axis=1)
    best = squared[np.arange(len(features)), indices]
    return _root(best), np.where(np.isinf(best), -1, indices).astype(np.int64)


def _root(squared: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 distances; one beyond float32 (values near its limit) is infinity."""
    with np.errstate(over="ignore"):
        return np.sqrt(squared).astype(np.float32)


def enlarge(
    grid: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``rows @ grid @ columns`` in float32, each sum from its first term to its last."""
    lines = np.zeros((len(rows), grid.shape[1]), dtype=np.float32)
    for index, line in enumerate(grid):
        lines += rows[:, index, None] * line
    total = np.zeros((len(rows), columns.shape[1]), dtype=np.float32)
    for index, line in enumerate(columns):
        total += lines[:, index, None] * line
    return total
