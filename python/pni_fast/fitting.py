"""The fit, start to end: images → features → distribution → refiner → range of normal maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .backbone import build_extractor, load_weights
from .distribution import fit_distribution
from .ensemble import Model, combine
from .errors import DataError, PniError
from .feature_store import allocate_features
from .features import FeatureExtractor
from .parallel import one_torch_thread, ordered_map
from .precision import FLOAT32, Precision
from .presets import Config
from .progress import Progress, silent
from .refinement import check_encoder
from .refinement.checkpoint import read_header
from .refiner_fitting import fit_refiner
from .sources import Source
from .state import Fitted
from .stream import Broken, stream
from .transfer import to_host

RANGE_IMAGES = 32
"""Normal images, evenly spaced over the training set, whose maps fix the normalisation."""


@one_torch_thread()
def fit(
    sources: Sequence[Source],
    config: Config,
    weights: Sequence[Path | None],
    *,
    device: torch.device,
    num_threads: int,
    on_broken: Broken | None,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    precision: Precision = FLOAT32,
    refiner_weights: Path | None = None,
) -> Model:
    """Fit a model on normal images; see :meth:`pni_fast.PNI.fit`.

    The members of an ensemble are fitted one after another: features are held of one at a time, and on a GPU
    the networks of one at a time, those finished waiting in the host's memory.
    """
    members = tuple(zip(config.members, weights, strict=True))
    for member, file in members[1:]:
        _extractor(member, file)  # a wrong name or file is found before the first fit, not after it
    if config.refinement:
        check_encoder(config.refiner, refiner_weights)
    fitted: list[Fitted] = []
    states = [None] * len(members) if checkpoint is None else member_checkpoints(config, checkpoint)
    for number, ((member, file), state) in enumerate(zip(members, states, strict=True), 1):
        where = "" if len(members) == 1 else f"{member.backbone} ({number}/{len(members)}): "
        one, sources = _fit_member(
            sources,
            member,
            file,
            device=device,
            num_threads=num_threads,
            on_broken=on_broken,
            progress=_staged(progress, where),
            checkpoint=state,
            precision=precision,
            refiner_weights=refiner_weights,
        )
        on_broken = None  # from the second member on, `sources` are those that could be read
        fitted.append(one if len(members) == 1 else one.to(torch.device("cpu")))
    return combine(config, fitted)


def member_checkpoints(config: Config, checkpoint: Path) -> list[Path]:
    """Return the file of each member's refiner training: `checkpoint`, numbered where there are several."""
    count = len(config.backbones)
    if count == 1:
        return [checkpoint]
    return [checkpoint.with_name(f"{checkpoint.stem}-{n}{checkpoint.suffix}") for n in range(1, count + 1)]


def check_refiner_options(config: Config, checkpoint: Path | None, weights: Path | None) -> None:
    """Refuse, before the work begins, options of a refiner where there is none, and a broken checkpoint.

    Raises
    ------
    PniError
        There will be no refiner.
    ModelFileError
        The checkpoint is none.
    """
    for name, value in {"checkpoint": checkpoint, "refiner_weights": weights}.items():
        if value is not None and not config.refinement:
            raise PniError(f"{name} {value}: refinement must be on, got refinement=False")
    for file in [] if checkpoint is None else member_checkpoints(config, checkpoint):
        if file.exists():
            read_header(file)


def _fit_member(
    sources: Sequence[Source],
    config: Config,
    weights: Path | None,
    *,
    device: torch.device,
    num_threads: int,
    on_broken: Broken | None,
    progress: Progress,
    checkpoint: Path | None,
    precision: Precision,
    refiner_weights: Path | None,
) -> tuple[Fitted, list[Source]]:
    """Fit a model with one backbone; return the sources it could read too."""
    extractor, weights_source = _extractor(config, weights)
    extractor.to(device)
    read, features = extract_features(
        extractor,
        sources,
        config,
        device=device,
        workers=num_threads,
        on_broken=on_broken,
        progress=progress,
        precision=precision,
    )
    count, height, width, _ = features.shape
    distribution = fit_distribution(
        features, config, device=device, num_threads=num_threads, progress=progress, precision=precision
    )
    fitted = Fitted(config, weights_source, extractor, (height, width), distribution, count)
    if config.refinement:
        fitted = fit_refiner(
            fitted,
            read,
            features,
            device=device,
            num_threads=num_threads,
            progress=progress,
            checkpoint=checkpoint,
            precision=precision,
            weights=refiner_weights,
        )
    else:
        fitted = fitted.with_normalization(_map_range(fitted, features, device, num_threads, precision))
    return fitted, read


def _extractor(config: Config, weights: Path | None) -> tuple[FeatureExtractor, str]:
    """Return the extractor of a model with one backbone, and where its weights came from."""
    (name,) = config.backbones
    extractor = build_extractor(name, config.patch, config.dimension)
    return extractor, load_weights(extractor.backbone, name, weights)


def _staged(progress: Progress, where: str) -> Progress:
    return lambda stage, done, total: progress(where + stage, done, total)


def extract_features(
    extractor: FeatureExtractor,
    sources: Sequence[Source],
    config: Config,
    *,
    device: torch.device,
    workers: int,
    on_broken: Broken | None,
    progress: Progress,
    precision: Precision = FLOAT32,
) -> tuple[list[Source], NDArray[np.float32]]:
    """Return the readable sources and their features, float32 (n, h, w, d), in memory or mapped from disk.

    Raises
    ------
    DataError
        An image cannot be read and `on_broken` is None, or none can.
    """

    def extracted(crops: torch.Tensor) -> list[NDArray[np.float32]]:
        with precision.in_backbone():
            return list(to_host(extractor(crops))[0])

    results = stream(
        sources,
        config.geometry,
        extracted,
        device=device,
        workers=workers,
        on_broken=on_broken,
    )
    store: NDArray[np.float32] | None = None
    read: list[Source] = []
    for item in results:
        if store is None:
            store = allocate_features((len(sources), *item.result.shape))
        store[len(read)] = item.result
        read.append(item.source)
        progress("features", len(read), len(sources))
    if store is None:
        raise DataError(f"none of the {len(sources)} images could be read")
    return read, store[: len(read)]


def _map_range(
    fitted: Fitted, features: NDArray[np.float32], device: torch.device, workers: int, precision: Precision
) -> tuple[float, float]:
    """Return the lowest and highest value of the anomaly maps of some training images."""
    scorer = fitted.scorer(device, precision)
    chosen = np.unique(np.linspace(0, len(features) - 1, RANGE_IMAGES).astype(int))

    def extremes(index: int) -> tuple[float, float]:
        batch = torch.from_numpy(features[index : index + 1]).to(device)
        anomaly_map = scorer.likelihood_maps(batch, num_threads=1)[0]
        return float(anomaly_map.min()), float(anomaly_map.max())

    lows, highs = zip(*ordered_map(extremes, (int(index) for index in chosen), workers), strict=True)
    return min(lows), max(highs)
