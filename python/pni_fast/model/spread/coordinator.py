"""Features and maps made by several processes or machines: pictures are split over workers.

In a fit the features stay with the workers, which then have a part in the search for the coreset; where they
are needed in one place, for a store or for a network that is trained on them, they come back in order.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.config.checks import plain_number
from pni_fast.data import Source
from pni_fast.data.depth import Brightness
from pni_fast.distributed.executors import Executor
from pni_fast.distribution.sharded import Sharded
from pni_fast.errors import DataError, PniError
from pni_fast.features.extract import Streaming
from pni_fast.model import file as model_file
from pni_fast.model.ensemble import FittedModel
from pni_fast.progress import silent, unheard
from pni_fast.runtime.feature_room import bytes_of
from pni_fast.runtime.memory import spoken_bytes
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken, Streamed
from pni_fast.runtime.threads import ordered_map

from .share import Extracted, ShareWorker
from .workers import Broken, ExtractionWorker, MapWorker, Share

SHARE = 16
"""Pictures that a worker takes at a time: what it is lost with is done again."""


@dataclass(frozen=True)
class Spread:
    """Who extracts, and keeps what it has extracted.

    Parameters
    ----------
    executor
        Where the workers live.
    workers
        How many there are, at least 1.
    threads
        Of each of them, at least 1.

    Raises
    ------
    PniError
        A number is none: without a worker no image would be read, and nobody told.
    """

    executor: Executor
    workers: int
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            object.__setattr__(self, name, plain_number(getattr(self, name)))
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise PniError(
                    f"{name} must be a whole number of at least 1, got {getattr(self, name)!r:.80}"
                )

    def streaming(self, config: Config, weights: Path | None, run: Run) -> Streaming:
        """Return what stands for a stream of pictures through this process's extractor.

        Every result is the one that this process would have found: same engine, same arithmetic, for any
        number of workers.
        """
        return self._rounds("features", ExtractionWorker, config, weights, self._own(run))

    def maps(self, model: FittedModel, run: Run) -> Streaming:
        """Return what stands for a stream of pictures through this process's scorer: crops and their maps."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            model_file.save(model, path)
            content = np.fromfile(path, np.uint8)
        return self._rounds("maps", MapWorker, content, self._own(run))

    def _own(self, run: Run) -> Run:
        """Return the run of a worker."""
        return replace(run.reporting(silent, unheard), threads=self.threads)

    def _rounds(self, method: str, make: Callable[..., Any], *arguments: Any) -> Streaming:
        """Return what hands pictures to workers, and gives their answers in the order of the pictures."""

        def streamed(sources: Sequence[Source], on_broken: OnBroken | None) -> Iterator[Streamed[Any]]:
            count = min(self.workers, len(sources))
            actors: list[Any] = []

            def answered(begin: int) -> list[tuple[Sequence[Source], Share, Broken]]:
                shares = _split(sources[begin : begin + SHARE * count], count)
                calls = [(actor, method, (share,)) for actor, share in zip(actors, shares, strict=False)]
                answers = self.executor.run(calls)
                return [(share, *answer) for share, answer in zip(shares, answers, strict=True)]

            try:
                for _ in range(count):
                    actors.append(self.executor.start(make, *arguments))
                # One round at a time is in work; the one before it is taken meanwhile.
                rounds = ordered_map(answered, range(0, len(sources), SHARE * count or 1), 1)
                with contextlib.closing(rounds):
                    for share in chain.from_iterable(rounds):
                        yield from _in_order(*share, on_broken)
            finally:
                for actor in actors:
                    self.executor.stop(actor)

        return streamed

    @contextlib.contextmanager
    def kept(
        self,
        sources: Sequence[Source],
        config: Config,
        weights: Path | None,
        run: Run,
        *,
        on_broken: OnBroken | None,
        roi: NDArray[np.bool_] | None,
    ) -> Iterator[tuple[list[Source], Sharded]]:
        """Give the readable sources and their features, which stay with the workers until the end.

        Parameters
        ----------
        sources, on_broken
            As for :func:`pni_fast.features.extract.extract_features`.
        config, weights, roi
            Of a model with one backbone.
        run
            Told the stage "features", over all workers.

        Raises
        ------
        DataError
            An image cannot be read and `on_broken` is None, or none can.
        PniError
            The features have no room, or do not fit the type.
        """
        own = self._own(run)
        shares = _split(sources, self.workers)
        actors: list[Any] = []
        try:
            for number, share in enumerate(shares):
                name = f"share {number}"
                actors.append(self.executor.start(ShareWorker, share, config, weights, own, roi, name))
            found = self._extracted(
                actors, shares, config.feature_dtype, run, one_is_enough=on_broken is None
            )
            read = _readable(shares, found, on_broken)
            _all_bright(found, config.geometry.depth)
            grids = [one.grid for one in found if one.grid is not None]
            having = [actor for actor, one in zip(actors, found, strict=True) if one.count]
            counts = [one.count for one in found if one.count]
            yield read, Sharded(self.executor, having, counts, grids[0])
        finally:
            for actor in actors:
                self.executor.stop(actor)

    def _extracted(
        self,
        actors: Sequence[Any],
        shares: Sequence[Sequence[Source]],
        dtype: str,
        run: Run,
        *,
        one_is_enough: bool,
    ) -> list[Extracted]:
        """Return what came of all shares; with `one_is_enough` at least of all before a broken image."""
        found, total, told = [Extracted()] * len(actors), sum(map(len, shares)), False
        last = len(actors)  # share that is of interest
        while True:
            behind = [n for n in range(min(last + 1, len(actors))) if found[n].done < len(shares[n])]
            behind = [n for n in behind if not (one_is_enough and found[n].broken)]
            if not behind:
                return found
            ends = [min(found[n].done + SHARE, len(shares[n])) for n in behind]
            answers = self.executor.run(
                [(actors[n], "extract", (end,)) for n, end in zip(behind, ends, strict=True)]
            )
            for number, answer in zip(behind, answers, strict=True):
                found[number] = answer
                if one_is_enough and answer.broken:
                    last = min(last, number)
                if answer.grid is not None and not told:
                    size = spoken_bytes(bytes_of((total, *answer.grid), dtype))
                    run.tell(f"features: {size}, kept by {len(actors)} workers")
                    told = True
            run.progress("features", sum(one.count for one in found), total)


def check_spread(spread: object) -> None:
    """Refuse what is given in place of a :class:`Spread`; None is none.

    Raises
    ------
    PniError
        It is something else.
    """
    if spread is not None and not isinstance(spread, Spread):
        raise PniError(f"spread must be a Spread or None, got {type(spread).__name__} {spread!r:.80}")


def _readable(
    shares: Sequence[Sequence[Source]], found: Sequence[Extracted], on_broken: OnBroken | None
) -> list[Source]:
    """Return the sources that have features, and tell of the others as one process would."""
    read = []
    for share, one in zip(shares, found, strict=True):
        failed = {number: (name, reason) for number, name, reason in one.broken}
        for number, source in enumerate(share[: one.done]):
            if number not in failed:
                read.append(source)
            elif on_broken is None:
                raise DataError(failed[number][1])
            else:
                on_broken(*failed[number])
    if not read:
        raise DataError(f"none of the {sum(map(len, shares))} images could be read")
    return read


def _all_bright(found: Sequence[Extracted], depth: int) -> None:
    brightness = Brightness()
    brightness.highest = max(one.highest for one in found)
    brightness.count = sum(one.count for one in found)
    brightness.check(depth)


def _split(sources: Sequence[Source], parts: int) -> list[Sequence[Source]]:
    """Return runs of about the same length, none of them empty."""
    ends = np.linspace(0, len(sources), min(parts, len(sources)) + 1).astype(int)
    return [sources[a:b] for a, b in pairwise(ends)]


def _in_order(
    sources: Sequence[Source], found: Share, broken: Broken, on_broken: OnBroken | None
) -> Iterator[Streamed[Any]]:
    """Yield what was read, and tell what was not, as one process would."""
    failed = {number: (name, reason) for number, name, reason in broken}
    read = {number: (crop, result) for number, crop, result in found}
    for number, source in enumerate(sources):
        if number in read:
            yield Streamed(source, *read[number])
        elif on_broken is None:
            raise DataError(failed[number][1])
        else:
            on_broken(*failed[number])
