"""One worker's pictures of a fit: read and extracted where the worker is, and their features stay there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.data import Source
from pni_fast.data.inspected import Inspected
from pni_fast.distribution.sharded import FeatureShard
from pni_fast.errors import DataError
from pni_fast.features.extract import narrowed
from pni_fast.model.extraction import build
from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.feature_room import allocate_features
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import stream
from pni_fast.runtime.threads import one_torch_thread


@dataclass(frozen=True)
class Extracted:
    """What came of a worker's pictures so far.

    Parameters
    ----------
    done
        Of its pictures, so many were looked at.
    broken
        Number, name and reason of each that cannot be read.
    highest
        The highest value of all crops.
    grid
        (h, w, d) of an image's features; None while there are none.
    """

    done: int = 0
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    highest: int = 0
    grid: tuple[int, int, int] | None = None

    @property
    def count(self) -> int:
        """Pictures that have features."""
        return self.done - len(self.broken)


class ShareWorker:
    """Pictures and their features, which are made when they are needed and answered for from then on.

    A worker that is made again in the place of one that was lost makes the features again, with whatever it
    is asked first: nothing but its arguments says what it is.

    Parameters
    ----------
    sources
        Its pictures.
    config, weights
        Of a model with one backbone; a file of weights is read where the worker is.
    run
        Where the networks run, and the threads of the worker.
    roi
        What is inspected, bool (H, W); None: all.
    name
        What errors call it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        config: Config,
        weights: Path | None,
        run: Run,
        roi: NDArray[np.bool_] | None,
        name: str,
    ) -> None:
        self._sources, self._config, self._run, self._name = list(sources), config, run, name
        self._roi = roi
        extractor, _ = build(config, weights)
        self._extract = extractor.extraction(run)
        self._features: NDArray[Any] | None = None
        self._found = Extracted()
        self._shard: FeatureShard | None = None

    def extract(self, until: int) -> Extracted:
        """Return what is known once the first `until` pictures have been looked at."""
        if until > self._found.done:
            self._found = self._more(self._sources[self._found.done : until])
        return self._found

    def shape(self) -> tuple[int, int]:
        """Return the rows and columns."""
        return self._made().shape()

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some rows, float32 (k, d).

        Raises
        ------
        DataError
            There are fewer: the worker was lost, and not all that it had read can be read again.
        """
        shard = self._made()
        there = shard.shape()[0]
        if numbers.max(initial=0) >= there:
            raise DataError(f"{self._name}: its images have changed: they had more than {there} rows before")
        return shard.rows(numbers)

    def begin(self, first: NDArray[np.float32]) -> NDArray[np.float64]:
        """As for :class:`FeatureShard`, as the others below."""
        return self._made().begin(first)

    def take(self, picks: NDArray[np.float32]) -> NDArray[np.float64]:
        """Take later picks."""
        return self._made().take(picks)

    def sample(self) -> NDArray[np.float64]:
        """Return at least the squared distances of some rows."""
        return self._made().sample()

    def hot(self, threshold: float, most: int) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
        """Return which rows may be picked next."""
        return self._made().hot(threshold, most)

    def labels(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the nearest vector of every row."""
        return self._made().labels(vectors)

    def described(self) -> NDArray[np.float32]:
        """Return the descriptor of every image."""
        return self._made().described()

    def _more(self, sources: Sequence[Source]) -> Extracted:
        """Extract further pictures; the features of all so far are in one piece."""
        known, highest = self._found, self._found.highest
        numbers = {id(source): known.done + number for number, source in enumerate(sources)}
        left = dict.fromkeys(numbers.values())
        told: list[tuple[str, str]] = []
        place = known.count

        def extracted(crops: Values) -> list[NDArray[np.float32]]:
            return list(to_host(self._extract(crops))[0])

        def broken(name: str, reason: str) -> None:
            told.append((name, reason))

        with one_torch_thread():
            for item in stream(sources, self._config.geometry, extracted, self._run, on_broken=broken):
                features = narrowed(item.result, self._config.feature_dtype, item.source.name)
                if self._features is None:
                    self._features = allocate_features((len(self._sources), *features.shape), features.dtype)
                self._features[place] = features
                place, highest = place + 1, max(highest, int(item.image.max(initial=0)))
                del left[numbers[id(item.source)]]
        more = [(number, *reason) for number, reason in zip(left, told, strict=True)]
        grid = None
        if self._features is not None:
            _, height, width, dimension = self._features.shape
            grid = height, width, dimension
        return Extracted(known.done + len(sources), [*known.broken, *more], highest, grid)

    def _made(self) -> FeatureShard:
        """Return all features as a shard."""
        if self._shard is None:
            found = self.extract(len(self._sources))
            if self._features is None:
                raise DataError(f"{self._name}: none of its {len(self._sources)} images can be read any more")
            features = self._features[: found.count]
            if self._roi is not None:
                Inspected(self._roi, features.shape[1:3]).fill(features)
            self._shard = FeatureShard(features, self._name, self._run.threads)
        return self._shard
