"""The features of a training set from a store, which is given those that it lacks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pni_fast.data import Source
from pni_fast.data.digests import Digests
from pni_fast.errors import DataError
from pni_fast.runtime.feature_room import allocate_features, bytes_of, described_room
from pni_fast.runtime.feature_store import FeatureStore, OpenStore
from pni_fast.runtime.memory import spoken_bytes
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken
from pni_fast.runtime.threads import ordered_map

Each: TypeAlias = Callable[[Sequence[Source], OnBroken | None], Iterator[tuple[Source, NDArray[Any]]]]
"""Yields readable sources with their features, (h, w, d), in order; told of those that are not."""


@dataclass(frozen=True)
class Keeping:
    """Where the features of a fit are kept.

    Parameters
    ----------
    store
        The folder, with all that features follow from beside the images.
    digests
        What images are known by there: a name or a time of change may be another's tomorrow.
    """

    store: FeatureStore
    digests: Digests

    def features(
        self, sources: Sequence[Source], each: Each, run: Run, on_broken: OnBroken | None
    ) -> tuple[list[Source], NDArray[np.floating[Any]]]:
        """Return the readable sources and their features, (n, h, w, d), for reading only.

        Parameters
        ----------
        sources, on_broken
            As for :func:`.extract.extract_features`.
        each
            Extracts.
        run
            Told the stages "files", in which they are read to be known, and "store", in which what is there
            is held against its checksums; and what is there and what is not.

        Raises
        ------
        DataError
            An image cannot be read and `on_broken` is None, or none can.
        PniError
            What the store holds is of other settings or images, or not what was written there.
        """
        with self.store.opened() as store:
            found = _digested(sources, self.digests, run, on_broken)
            if found:
                self._add_missing(store, found, each, run, on_broken)
            places = store.places([self.digests(source) for source in found])
            there = [
                (source, place) for source, place in zip(found, places, strict=True) if place is not None
            ]
            if not there:
                raise DataError(f"none of the {len(sources)} images could be read")
            return [source for source, _ in there], _in_order(store, [place for _, place in there], run)

    def _add_missing(
        self, store: OpenStore, sources: Sequence[Source], each: Each, run: Run, on_broken: OnBroken | None
    ) -> None:
        """Extract what the store lacks; it keeps what is finished, whatever ends this."""
        places = store.places([self.digests(source) for source in sources])
        missing = [source for source, place in zip(sources, places, strict=True) if place is None]
        store.check([place for place in places if place is not None], run)
        begun = store.shape is not None
        if store.shape is not None:
            self._begin(store, store.shape, len(sources), len(missing), run)
        awaited, reasons = deque(missing), deque[str]()

        def told(name: str, reason: str) -> None:
            assert on_broken is not None  # else the image raises
            on_broken(name, reason)
            reasons.append(reason)

        # Broken images are told of in their order, but perhaps long before those ahead of them are through.
        for source, features in each(missing, None if on_broken is None else told) if missing else ():
            if not begun:
                self._begin(store, features.shape, len(sources), len(missing), run)
                begun = True
            while awaited[0] is not source:
                self._record(store, awaited.popleft(), reasons.popleft())
            awaited.popleft()
            store.add(self.digests(source), source.name, features)
        for source in awaited:
            self._record(store, source, reasons.popleft())

    def _record(self, store: OpenStore, source: Source, reason: str) -> None:
        store.add_broken(self.digests(source), source.name, reason)

    def _begin(self, store: OpenStore, shape: tuple[int, ...], count: int, missing: int, run: Run) -> None:
        """Make room for what is missing, and say what is there and what is not."""
        store.begin(shape, missing)
        size, there = spoken_bytes(missing * store.image_bytes), count - missing
        if not there:
            run.tell(f"features: {size} in {store.folder}")
        elif missing:
            run.tell(f"features: those of {there} of {count} images are in {store.folder}, {size} to add")
        else:
            run.tell(f"features: those of all {count} images are in {store.folder}, none is extracted")


def _digested(
    sources: Sequence[Source], digests: Digests, run: Run, on_broken: OnBroken | None
) -> list[Source]:
    """Return the sources whose bytes can be read, which the digests then know."""

    def failure(source: Source) -> DataError | None:
        try:
            digests(source)
        except DataError as error:
            return error
        return None

    read = []
    failures = zip(sources, ordered_map(failure, sources, run.threads), strict=True)
    for done, (source, error) in enumerate(failures, 1):
        run.progress("files", done, len(sources))
        if error is None:
            read.append(source)
        elif on_broken is None:
            raise error
        else:
            on_broken(source.name, str(error))
    return read


def _in_order(store: OpenStore, places: Sequence[int], run: Run) -> NDArray[np.floating[Any]]:
    """Return features in the order of their images: where the store has another, they are copied once."""
    features, first = store.features(), places[0]
    if list(places) == list(range(first, first + len(places))):
        return features[first : first + len(places)]
    shape = (len(places), *features.shape[1:])
    run.tell(f"{described_room(bytes_of(shape, features.dtype))}, copied into the order of the images")
    ordered = allocate_features(shape, features.dtype)
    for number, place in enumerate(places):
        ordered[number] = features[place]
    return ordered
