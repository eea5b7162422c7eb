"""The ONNX graph of a whole model: extractor, distances, what position allows, map, score and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError
from pni_fast.features.engines.building import GraphBuilder
from pni_fast.features.engines.export import add_extractor, state_arrays
from pni_fast.features.engines.graph import Array, Graph
from pni_fast.features.engines.networks import BACKBONE, CROPS, REFINER
from pni_fast.refinement.exported import add_refiner
from pni_fast.scoring.anomaly_map import enlarging
from pni_fast.scoring.exported import add_image_score, add_map, add_scores
from pni_fast.scoring.rules.penalty import surprise

from .ensemble import FittedModel
from .fitted import Fitted

MAP, SCORE, VERDICT = "anomaly_map", "score", "is_defective"
"""Names of the outputs."""


def check_exportable(model: FittedModel) -> Fitted:
    """Return the one member of a model that can be exported.

    Raises
    ------
    PniError
        It cannot; the message says why, and what to switch off.
    """
    if len(model.members) != 1:
        raise PniError(
            f"export takes a model with one backbone, got an ensemble of {len(model.members)}; "
            "fit with one --backbone"
        )
    (fitted,) = model.members
    parts = fitted.distribution
    if parts.context is not None:
        raise PniError(
            "export takes no model with context, whose allowed sets follow from every image anew; "
            "fit with --no-context"
        )
    if fitted.config.tiling is not None:
        raise PniError(
            "export takes no model with tiles, whose graph would have a backbone for each; fit without --tile"
        )
    if parts.neighborhood is not None:
        raise PniError(
            "export takes no model with a neighborhood MLP, whose 9 x 9 windows make a graph of gigabytes; "
            "fit with --no-neighborhood"
        )
    return fitted


def model_graph(fitted: Fitted) -> tuple[Graph, dict[str, Array]]:
    """Return the graph of a model that can be exported, and the weights it asks for.

    Raises
    ------
    PniError
        The backbone gives maps of another size than the model was fitted on.
    """
    config, parts, size = fitted.config, fitted.distribution, fitted.config.geometry.shape
    graph = GraphBuilder()
    crops = graph.input(CROPS, "uint8", (1, *size, 3))
    extractor = fitted.extractor.module()
    features, shape = add_extractor(graph, extractor, crops, *size)
    if shape[1:3] != tuple(fitted.grid):
        raise PniError(f"the backbone gives maps of {shape[1:3]}, the model was fitted on {fitted.grid}")
    if fitted.inspected is not None:
        features = _inside(graph, features, shape, fitted.inspected.sources)
    scores = add_scores(graph, features, fitted.grid, parts, **_condition(fitted))
    rows, columns = (enlarging(*sides, config.sigma) for sides in zip(fitted.grid, size, strict=True))
    anomaly_map = _shown(graph, add_map(graph, scores, rows, np.ascontiguousarray(columns.T)), fitted)
    tensors = state_arrays(extractor.backbone, BACKBONE)
    if fitted.refiner is not None:
        anomaly_map = _shown(graph, _refined(graph, fitted, crops, anomaly_map), fitted)
        tensors |= state_arrays(fitted.refiner.module(), REFINER)
    score = add_image_score(graph, anomaly_map, size, config.image_score)
    anomaly_map = graph.node("Reshape", [anomaly_map, graph.constant([1, *size], "int64")])
    graph.output(anomaly_map, MAP, (1, *size))
    graph.output(score, SCORE, (1,))
    threshold = threshold_of(fitted)
    if threshold is not None:
        graph.output(
            graph.node("Greater", [score, graph.constant(threshold, "float32")]), VERDICT, (1,), "bool"
        )
    made = graph.graph("pni-fast")
    return made, {name: tensors[name] for name in made.asked()}


def _inside(graph: GraphBuilder, features: str, shape: Sequence[int], sources: NDArray[np.int64]) -> str:
    """Add what gives patches outside the region the features of the nearest inside."""
    flat = graph.node("Reshape", [features, graph.constant([-1, shape[-1]], "int64")])
    taken = graph.node("Gather", [flat, graph.constant(sources, "int64")], {"axis": 0})
    return graph.node("Reshape", [taken, graph.constant(shape, "int64")])


def _shown(graph: GraphBuilder, anomaly_map: str, fitted: Fitted) -> str:
    """Add what makes a map 0 outside the region."""
    if fitted.roi is None:
        return anomaly_map
    return graph.node("Mul", [anomaly_map, graph.constant(fitted.roi, "float32")])


def threshold_of(fitted: Fitted) -> float | None:
    """Return what a float32 score is above where it is above the threshold; None without one."""
    threshold = None if fitted.decision is None else fitted.decision.threshold
    if threshold is None:
        return None
    near = np.float32(threshold)
    return float(near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf)))


def _condition(fitted: Fitted) -> dict[str, Any]:
    """Return what position does to the search, as `add_scores` takes it."""
    parts, rule = fitted.distribution, fitted.config.rule
    if parts.position is None:
        return {}
    position = parts.position.reshape(-1, parts.n_classes)
    if rule == "penalty":
        return {"penalty": surprise(position) / np.float32(parts.scale)}
    allowed = position > parts.tau
    # Where nothing is allowed the free distance stands, as `bound_distances` has it.
    allowed[~allowed.any(axis=1)] = True
    return {"allowed": allowed, "weight": parts.weight if rule == "blend" else 1.0}


def _refined(graph: GraphBuilder, fitted: Fitted, crops: str, anomaly_map: str) -> str:
    """Add what the refined scorer does with a map (height, width)."""
    assert fitted.refiner is not None
    refiner = fitted.refiner.module()
    size, ratio = fitted.config.geometry.shape, np.float32(refiner.config.ratio)
    low, high = fitted.refiner_range
    span = np.float32(high - low) if high > low else np.float32(1)
    base = graph.node("Reshape", [anomaly_map, graph.constant([1, *size], "int64")])
    base = graph.node("Sub", [base, graph.constant(low, "float32")])
    base = graph.node("Div", [base, graph.constant(span, "float32")])
    refined = add_refiner(graph, refiner, crops, base, *size)
    shares = [
        graph.node("Mul", [value, graph.constant(share, "float32")])
        for value, share in ((refined, ratio), (base, np.float32(1) - ratio))
    ]
    return graph.node("Add", shares)


def preprocessing(fitted: Fitted) -> dict[str, Any]:
    """Return what must be done to a picture before the graph, for its metadata."""
    geometry = fitted.config.geometry
    return {
        "resize": list(geometry.resized[::-1]),
        "filter": "bilinear (triangle) with antialiasing, Pillow's Image.Resampling.BILINEAR",
        "crop": list(geometry.shape[::-1]),
        "crop_from": [part.start for part in geometry.cut[::-1]],
        "channels": ",".join(map(str, geometry.channels)) or "RGB",
        "layout": "1, height, width, channel",
        "dtype": "uint8",
        "grey_depth": geometry.depth,
        "orientation": "EXIF applied",
    }
