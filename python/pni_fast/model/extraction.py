"""The extractor of a fit: backbone, weights, graph, and the engine that runs it, held against torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pni_fast.config import Config
from pni_fast.data import Source
from pni_fast.data.cropping import read_crop
from pni_fast.data.spacing import evenly_spaced
from pni_fast.errors import DataError, PniError, WeightsError
from pni_fast.features.embedded import CROP, check_answer, embedded_extractor, is_embedded
from pni_fast.features.engines.agreement import agreement, refusal
from pni_fast.features.engines.networks import grid_of
from pni_fast.features.stored import Extract, StoredExtractor, extractor_graph_of
from pni_fast.refinement.stored import StoredRefiner, refiner_graph_of
from pni_fast.runtime.run import Run

if TYPE_CHECKING:
    from pni_fast.refinement import RefinementNetwork

CHECKED_IMAGES = 2
"""Images of a fit whose features an engine and torch both make."""


def build(config: Config, weights: Path | None) -> tuple[StoredExtractor, str]:
    """Return the extractor of a model with one backbone, and where its weights came from."""
    if is_embedded(config, weights):
        return embedded_extractor(config.seen, config.tiling), "embedded"
    from pni_fast.features.backbones import extractor_of, told_of
    from pni_fast.features.engines.export import extractor_graph
    from pni_fast.features.families import without_values
    from pni_fast.features.weights import load_weights

    (name,) = config.backbones
    with without_values():
        extractor = extractor_of(config)
    source = load_weights(extractor.backbone, name, weights, told_of(config))
    shape = config.seen
    try:
        content = extractor_graph(extractor, *shape)
    except WeightsError as error:
        return StoredExtractor.of(extractor, name, graphless=str(error), tiling=config.tiling), source
    values = np.frombuffer(content, dtype=np.uint8)
    graph = extractor_graph_of(values, shape, grid_of(content), extractor.dimension)
    return StoredExtractor.of(extractor, name, graph, tiling=config.tiling), source


def stored_refiner(network: RefinementNetwork, shape: tuple[int, int]) -> StoredRefiner:
    """Return a refiner that is there as one that a model holds, with its graph where there can be one."""
    from pni_fast.refinement.exported import refiner_graph

    try:
        content = refiner_graph(network, *shape)
    except WeightsError as error:
        return StoredRefiner.of(network, graphless=str(error))
    return StoredRefiner.of(network, refiner_graph_of(np.frombuffer(content, dtype=np.uint8), shape))


def check_engine(
    extractor: StoredExtractor,
    extract: Extract,
    sources: Sequence[Source],
    config: Config,
    weights: Path | None,
    run: Run,
) -> None:
    """Hold an engine against torch, before the work begins.

    On some of the images of the fit; where it takes no torch to have the extractor, whose import takes longer
    than a small fit, on a crop whose features are known.

    Raises
    ------
    PniError
        Its features are others.
    """
    name = extractor.engine(run)
    if name == "torch" or run.precision.low_backbone:
        return
    if is_embedded(config, weights):
        if config.seen == (CROP, CROP):
            check_answer(cast("Extract", extractor.opened(run)), name)
        else:
            _check_known(name, run.threads)
        return
    exact = extractor.extraction(replace(run, engine="torch"))
    for index in evenly_spaced(len(sources), CHECKED_IMAGES):
        try:
            crop = read_crop(sources[index], config.geometry)
        except DataError:
            continue  # whether a broken image is an error is asked when its turn comes
        found = agreement(extract, exact, crop[None])
        if not found.holds:
            raise PniError(refusal(name, found.largest))


@cache
def _check_known(engine: str, threads: int) -> None:
    """Hold an engine to the known answer, which is of one size, once a process."""
    run = Run.resolve("cpu", "fp32", threads, engine=engine)
    check_answer(embedded_extractor().extraction(run), engine)


def described(extractor: StoredExtractor, run: Run) -> str:
    """Return in words what makes the features of a fit, with its version."""
    name = extractor.engine(run)
    words = f"{name} {metadata.version(name)}, {'bf16' if run.precision.low_backbone else 'fp32'}"
    return words if extractor.graph is not None else f"{words}; no other: {extractor.graphless}"
