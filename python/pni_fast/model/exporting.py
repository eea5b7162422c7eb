"""A whole model as one ONNX file that needs nothing else, held against our own scores before it appears."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError
from pni_fast.features.engines.choose import installed
from pni_fast.features.engines.graph import encode
from pni_fast.features.engines.networks import CROPS
from pni_fast.runtime.files import atomic_path

from .ensemble import FittedModel
from .exported_graph import MAP, SCORE, VERDICT, check_exportable, model_graph, preprocessing, threshold_of
from .file.header import installed_version
from .fitted import Fitted

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
        from pni_fast.features.engines.onnxruntime_engine import quiet_onnxruntime

        onnxruntime = quiet_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong comes as an exception
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return "onnxruntime", lambda crops: session.run(outputs, {CROPS: crops})
    if installed("openvino"):
        from pni_fast.features.engines.openvino_engine import quiet_openvino

        core = quiet_openvino().Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(content), "CPU", settings)

        def run(crops: NDArray[np.uint8]) -> list[NDArray[Any]]:
            made = compiled(crops)
            return [made[name] for name in outputs]

        return "openvino", run
    raise PniError("export checks what it writes: pip install onnxruntime or openvino")
