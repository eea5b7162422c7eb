"""Workers that pictures are handed to: they give features or anomaly maps back, and keep nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.data import Source
from pni_fast.model import file as model_file
from pni_fast.model.extraction import build
from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken, Streamed, stream
from pni_fast.runtime.threads import one_torch_thread
from pni_fast.scoring.image_maps import stream_maps

Share = list[tuple[int, NDArray[np.uint8], NDArray[np.float32]]]
"""Of each readable picture its number among those handed over, its crop, and what was made of it."""

Broken = list[tuple[int, str, str]]
"""Of each other picture number, name and reason."""


class ExtractionWorker:
    """Pictures in, features out; it has the same extractor as every other.

    Parameters
    ----------
    config, weights
        Of a model with one backbone; a file of weights is read where the worker is.
    run
        Where the networks run, and the threads of the worker.
    """

    def __init__(self, config: Config, weights: Path | None, run: Run) -> None:
        self._geometry, self._run = config.geometry, run
        extractor, _ = build(config, weights)
        self._extract = extractor.extraction(run)

    def features(self, sources: Sequence[Source]) -> tuple[Share, Broken]:
        """Return the features of what can be read; of the crop no more than its highest value travels."""

        def extracted(crops: Values) -> list[NDArray[np.float32]]:
            return list(to_host(self._extract(crops))[0])

        found, broken = _sorted_out(
            lambda told: stream(sources, self._geometry, extracted, self._run, on_broken=told), sources
        )
        return [(number, _highest(crop), features) for number, crop, features in found], broken


class MapWorker:
    """Pictures in, crops and their anomaly maps out.

    Parameters
    ----------
    content
        The bytes of a model file, uint8 (n,).
    run
        Where the networks run, and the threads of the worker.
    """

    def __init__(self, content: NDArray[np.uint8], run: Run) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            content.tofile(path)
            model = model_file.load(path)
        self._geometry, self._run = model.config.geometry, run
        self._scorer = model.scorer(run)

    def maps(self, sources: Sequence[Source]) -> tuple[Share, Broken]:
        """Return the map, float32 (H, W), and the crop, uint8 (H, W, 3), of what can be read."""
        return _sorted_out(
            lambda told: stream_maps(self._scorer, sources, self._geometry, self._run, on_broken=told),
            sources,
        )


def _sorted_out(
    results: Callable[[OnBroken], Iterator[Streamed[Any]]], sources: Sequence[Source]
) -> tuple[Share, Broken]:
    """Return what a stream gives of the sources, and what it says of the others, by their numbers."""
    numbers = {id(source): number for number, source in enumerate(sources)}
    told: list[tuple[str, str]] = []

    def broken(name: str, reason: str) -> None:
        told.append((name, reason))

    with one_torch_thread():
        found = [(numbers[id(item.source)], item.image, item.result) for item in results(broken)]
    left = sorted(set(numbers.values()) - {number for number, _, _ in found})
    return found, [(number, *reason) for number, reason in zip(left, told, strict=True)]


def _highest(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array([[[crop.max(initial=0)]]], np.uint8)
