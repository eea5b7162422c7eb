"""A whole model as one ONNX graph that needs nothing else: uint8 crop in, map, score and verdict out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError
from pni_fast.features.engines.building import GraphBuilder
from pni_fast.features.engines.choose import installed
from pni_fast.features.engines.export import add_extractor, state_arrays
from pni_fast.features.engines.graph import Array, Graph, encode
from pni_fast.features.engines.networks import BACKBONE, CROPS, REFINER
from pni_fast.refinement.exported import add_refiner
from pni_fast.runtime.files import atomic_path
from pni_fast.scoring.anomaly_map import enlarging
from pni_fast.scoring.exported import add_image_score, add_map, add_scores
from pni_fast.scoring.rules.penalty import surprise

from .ensemble import FittedModel
from .file.header import installed_version
from .fitted import Fitted

MAP, SCORE, VERDICT = "anomaly_map", "score", "is_defective"
"""Names of the outputs."""

ALLOWED = 1e-3
"""Relative difference of an image's score from ours at which an export is refused."""

MOST_BYTES = 2**31 - 1
"""Of an ONNX file, whose lengths are 31 bits in many readers."""


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Parameters
    ----------
    bytes
        Size of the file.
    images
        Pictures it was checked on.
    difference
        Largest relative difference of their scores from ours.
    runtime
        What ran the graph for that.
    """

    bytes: int
    images: int
    difference: float
    runtime: str


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
    """Return the graph of a model, and the weights it asks for."""
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


def export_model(
    model: FittedModel,
    path: str | os.PathLike[str],
    pictures: Iterable[tuple[NDArray[np.uint8], float, NDArray[np.float32]]],
    source: Path | None = None,
) -> Exported:
    """Write a model as one ONNX file, once it gives our scores.

    Parameters
    ----------
    model
        Fitted.
    path
        The file to write, whole or not at all.
    pictures
        Crops, uint8 (H, W, 3), with our score and our map of each.
    source
        The model's file, whose digest the graph then bears.

    Raises
    ------
    PniError
        The model cannot be exported, the file cannot be written, a score differs by more than `ALLOWED`, or a
        verdict on a score that is farther than that from the threshold.
    """
    fitted = check_exportable(model)
    graph, tensors = model_graph(fitted)
    content = encode(graph, tensors, _metadata(fitted, source), installed_version())
    if len(content) > MOST_BYTES:
        raise PniError(
            f"the graph would have {len(content)} bytes, an ONNX file has at most {MOST_BYTES}; "
            "fit with a smaller --coreset-ratio"
        )
    images, difference, runtime = _checked(content, pictures, threshold_of(fitted))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return Exported(len(content), images, difference, runtime)


def _metadata(fitted: Fitted, source: Path | None) -> Mapping[str, str]:
    said = {
        "pni_fast.version": installed_version(),
        "pni_fast.preprocessing": json.dumps(preprocessing(fitted)),
        "pni_fast.normalization": json.dumps(list(fitted.normalization)),
        "pni_fast.backbone": fitted.config.backbones[0],
        "pni_fast.preset": fitted.config.preset,
    }
    if fitted.decision is not None:
        said["pni_fast.decision"] = json.dumps(
            {name: value for name, value in fitted.decision.summary().items() if name != "suspects"}
        )
    if source is not None:
        total = hashlib.sha256()
        with source.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
        said["pni_fast.model_sha256"] = total.hexdigest()
    return said


def _checked(
    content: bytes,
    pictures: Iterable[tuple[NDArray[np.uint8], float, NDArray[np.float32]]],
    threshold: float | None,
) -> tuple[int, float, str]:
    """Return on how many pictures the graph gives our scores, how far it differs and what ran it."""
    runtime, run = _runner(content, [MAP, SCORE] if threshold is None else [MAP, SCORE, VERDICT])
    images, worst = 0, 0.0
    for crop, score, anomaly_map in pictures:
        found_map, found, *told = run(crop[None])
        scale = max(abs(score), float(np.abs(anomaly_map).max()), np.finfo(np.float32).tiny)
        differences = (abs(float(found[0]) - score), float(np.abs(found_map[0] - anomaly_map).max()))
        worst, images = max(worst, *(value / scale for value in differences)), images + 1
        if not worst <= ALLOWED:
            raise PniError(
                f"the exported graph must give our scores to {ALLOWED} under {runtime}, picture {images} "
                f"differs by {worst:.1e}; nothing was written"
            )
        if threshold is not None and abs(score - threshold) > ALLOWED * scale:
            (verdict,) = told
            if bool(verdict[0]) != (score > threshold):
                raise PniError(
                    f"the exported graph must give our verdicts under {runtime}, picture {images} with a "
                    f"score of {score:.6g} differs; nothing was written"
                )
    return images, worst, runtime


def _runner(content: bytes, outputs: list[str]) -> tuple[str, Any]:
    """Return what gives a graph's outputs here, ONNX's own runtime where it is installed."""
    if installed("onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong comes as an exception
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return "onnxruntime", lambda crops: session.run(outputs, {CROPS: crops})
    if installed("openvino"):
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(content), "CPU", settings)

        def run(crops: NDArray[np.uint8]) -> list[NDArray[Any]]:
            made = compiled(crops)
            return [made[name] for name in outputs]

        return "openvino", run
    raise PniError("export checks what it writes: pip install onnxruntime or openvino")
