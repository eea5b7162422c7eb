"""What features follow from beside the images: by it a store knows whether they are those of a fit."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import numpy as np

from pni_fast.config import Config
from pni_fast.features.stored import StoredExtractor
from pni_fast.runtime.run import Run

from .extraction import described
from .file.header import installed_version

LATER = frozenset(
    {"preset", "coreset_ratio", "distribution_size", "neighborhood_size", "position", "position_gate"}
    | {"neighborhood", "refinement", "rule", "likelihood_lambda", "sigma", "image_score", "seed", "context"}
    | {"mlp", "refiner", "feature_dtype"}
)
"""Settings that work on finished features. Any other decides on them, also one that is new here: a store
refused needlessly costs time, features of other settings taken for one's own cost the model."""


def feature_settings(extractor: StoredExtractor, config: Config, run: Run) -> dict[str, str]:
    """Return all that the features of one backbone follow from, as texts by name.

    Parameters
    ----------
    extractor
        Its weights count by their bytes.
    config
        Its depth is known.
    run
        What computes.
    """
    names = [item.name for item in fields(config) if item.name not in LATER]
    return {
        "version": installed_version(),
        **{name: str(getattr(config, name)) for name in names},
        "weights": _weights(extractor),
        "device": run.device.type,
        "engine": described(extractor, run),
    }


def _weights(extractor: StoredExtractor) -> str:
    """Return a digest of the tensors of an extractor."""
    found = hashlib.sha256()
    for name, tensor in sorted(extractor.tensors().items()):
        found.update(f"{name}{tensor.dtype.str}{tensor.shape}".encode())
        found.update(np.ascontiguousarray(tensor).data if tensor.size else b"")
    return found.hexdigest()
