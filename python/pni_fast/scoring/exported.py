"""Distances, allowed sets, map and image score as ONNX nodes, for runtimes that have no search kernels."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.distribution.distribution import Distribution
from pni_fast.features.engines.building import GraphBuilder

MOST_DISTANCES = 1 << 22
"""Distances in memory at once (16 MB): rows are searched in parts."""

FORBIDDEN = 1e30
"""Put in the place of the squared distance to a vector that is not allowed."""


def add_scores(
    graph: GraphBuilder,
    features: str,
    grid: tuple[int, int],
    distribution: Distribution,
    allowed: NDArray[np.bool_] | None = None,
    weight: float = 0.0,
    penalty: NDArray[np.float32] | None = None,
) -> str:
    """Add the search behind Φ (1, h, w, d); return the name of the scores, (h, w).

    The nearest vector is found by ‖a − c‖² = ‖c‖² − 2 a·c + ‖a‖² around the mean of the coreset, whose last
    term is the same for all. That form loses digits where the distance is small, so the distance itself is
    taken of the difference to the vector that was found.

    Parameters
    ----------
    graph
        Gets the nodes.
    features
        Name of Φ.
    grid
        (h, w).
    distribution
        Coreset, groups and λ.
    allowed
        Classes allowed at each position, (h·w, K), or None where nothing is forbidden.
    weight
        Of the distance to what is allowed; the rest is the free distance's.
    penalty
        In place of these two what each class costs at each position, in units of distance, (h·w, K).
    """
    coreset = distribution.coreset
    area, dimension = grid[0] * grid[1], coreset.shape[1]
    centre = coreset.mean(axis=0, dtype=np.float64)
    centred = (coreset - centre).astype(np.float32)
    vectors = graph.constant(centred)
    products = graph.constant(np.ascontiguousarray(-2 * centred.T))
    squares = graph.constant((centred.astype(np.float64) ** 2).sum(axis=1), "float32")
    rows = graph.node("Reshape", [features, graph.constant([area, dimension], "int64")])
    rows = graph.node("Sub", [rows, graph.constant(centre, "float32")])

    step = max(1, min(area, MOST_DISTANCES // len(coreset)))
    starts = range(0, area, step)
    parts = [rows]
    if len(starts) > 1:
        sizes = graph.constant([min(step, area - start) for start in starts], "int64")
        parts = graph.nodes("Split", [rows, sizes], len(starts), {"axis": 0})

    def by_vector(classes: NDArray[Any]) -> str:
        """Return what is said of the classes, for each vector of the coreset."""
        said = graph.constant(np.ascontiguousarray(classes))
        if np.array_equal(distribution.groups, np.arange(len(coreset))):
            return said
        return graph.node("Gather", [said, graph.constant(distribution.groups)], {"axis": 1})

    scores = []
    for start, part in zip(starts, parts, strict=True):
        squared = graph.node("Add", [graph.node("MatMul", [part, products]), squares])
        found = []
        if penalty is not None:
            found.append(_penalised(graph, part, squared, vectors, by_vector(penalty[start : start + step])))
        elif allowed is None or weight < 1:
            found.append(_distance(graph, part, squared, vectors))
        if allowed is not None and weight > 0:
            may = by_vector(allowed[start : start + step].astype(np.uint8))
            may = graph.node("Cast", [may], {"to": 9})
            among = graph.node("Where", [may, squared, graph.constant(FORBIDDEN, "float32")])
            found.append(_distance(graph, part, among, vectors))
        scores.append(_blended(graph, found, weight))
    joined = graph.node("Concat", scores, {"axis": 0}) if len(scores) > 1 else scores[0]
    joined = graph.node("Mul", [joined, graph.constant(distribution.scale, "float32")])
    return graph.node("Reshape", [joined, graph.constant(list(grid), "int64")])


def _distance(graph: GraphBuilder, rows: str, squared: str, vectors: str) -> str:
    """Return the distance of each row to the vector whose entry of `squared` is the least."""
    nearest = graph.node("ArgMin", [squared], {"axis": 1, "keepdims": 0})
    difference = graph.node("Sub", [rows, graph.node("Gather", [vectors, nearest], {"axis": 0})])
    return graph.node("Sqrt", [_sum_of_squares(graph, difference, 0)])


def _sum_of_squares(graph: GraphBuilder, rows: str, keep: int) -> str:
    squares = graph.node("Mul", [rows, rows])
    return graph.node("ReduceSum", [squares, graph.constant([1], "int64")], {"keepdims": keep})


def _penalised(graph: GraphBuilder, rows: str, squared: str, vectors: str, penalty: str) -> str:
    """Return the least sum of distance and penalty of each row."""
    whole = graph.node("Add", [squared, _sum_of_squares(graph, rows, 1)])
    away = graph.node("Sqrt", [graph.node("Clip", [whole, graph.constant(0.0, "float32")])])
    costs = graph.node("Add", [away, penalty])
    best = graph.node("ArgMin", [costs], {"axis": 1, "keepdims": 1})
    paid = graph.node("GatherElements", [penalty, best], {"axis": 1})
    found = graph.node("Squeeze", [best, graph.constant([1], "int64")])
    difference = graph.node("Sub", [rows, graph.node("Gather", [vectors, found], {"axis": 0})])
    distance = graph.node("Sqrt", [_sum_of_squares(graph, difference, 1)])
    total = graph.node("Add", [distance, paid])
    return graph.node("Squeeze", [total, graph.constant([1], "int64")])


def _blended(graph: GraphBuilder, found: list[str], weight: float) -> str:
    """Return (1 − w)·free + w·bound, or the one there is."""
    if len(found) == 1:
        return found[0]
    free, bound = found
    more = graph.node("Mul", [graph.node("Sub", [bound, free]), graph.constant(weight, "float32")])
    return graph.node("Add", [free, more])


def add_map(graph: GraphBuilder, scores: str, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> str:
    """Add bilinear resizing and smoothing of scores (h, w) as two products; return the map's name."""
    half = graph.node("MatMul", [graph.constant(rows), scores])
    return graph.node("MatMul", [half, graph.constant(columns)])


def add_image_score(graph: GraphBuilder, anomaly_map: str, size: tuple[int, int], share: float) -> str:
    """Add the maximum of a map (height, width), or the mean of its largest values; return the name, (1,)."""
    pixels = prod(size)
    flat = graph.node("Reshape", [anomaly_map, graph.constant([1, pixels], "int64")])
    if share == 0:
        return graph.node("ReduceMax", [flat], {"axes": [1], "keepdims": 0})
    count = graph.constant([max(1, round(share * pixels))], "int64")
    largest = graph.nodes("TopK", [flat, count], 2, {"axis": 1, "largest": 1, "sorted": 0})[0]
    return graph.node("ReduceMean", [largest], {"axes": [1], "keepdims": 0})
