"""Features kept in a folder: a later fit reads them, and one that was ended early goes on from them.

    store.json     what they were made with, and the shape of an image's; written once, by rename
    features.bin   their numbers, image after image, in C order, little endian
    images.jsonl   a line for every image: [digest, name, checksum], with zlib's CRC-32 of its bytes in
                   features.bin, or [digest, name, reason] where it is broken and has no features

An image is there once its line is: that is written after its features have reached the disk. What is there is
never changed, more is added at the end only; so one process may read while another adds, and whatever follows
the last whole line, or the features of the last image, is what a killed process left and is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import PniError

from .feature_header import HEADER, read_header, refuse_foreign, write_header
from .feature_room import bytes_of, check_disk
from .files import locked
from .run import Run
from .targets import sync_folder, writing
from .threads import ordered_map

NUMBERS, IMAGES = "features.bin", "images.jsonl"

COMMIT_SECONDS = 2.0
"""At most so much work is lost where a process is killed."""


@dataclass(frozen=True)
class FeatureStore:
    """A folder for the features of one backbone.

    Parameters
    ----------
    folder
        Made where it is not there. One that holds anything else is left alone.
    settings
        All that features follow from beside the images, as texts by name.
    dtype
        ``"float32"`` or ``"float16"``.
    """

    folder: Path
    settings: Mapping[str, str]
    dtype: str = "float32"

    @contextlib.contextmanager
    def opened(self) -> Iterator[OpenStore]:
        """Yield the store, which no other process can open meanwhile; what was added is there afterwards.

        Raises
        ------
        PniError
            The folder holds something else, or features made with other settings, or another process has it.
        """
        refuse_foreign(self.folder, HEADER)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder), contextlib.closing(OpenStore(self)) as store:
            yield store


@dataclass
class OpenStore:
    """A store that this process has to itself.

    Attributes
    ----------
    shape
        (h, w, d) of an image's features; None while there are none.
    names
        Of the images, in the order of their features.
    broken
        Digests of images that could not be read.
    """

    store: FeatureStore
    shape: tuple[int, ...] | None = None
    names: list[str] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    _places: dict[int, list[int]] = field(default_factory=dict)
    _checksums: list[int] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _committed: float = 0.0

    def __post_init__(self) -> None:
        self.folder = self.store.folder
        self.shape = read_header(self.folder, self.store.settings, self.store.dtype)
        with writing(self.folder):
            self._recover()
            # Unbuffered: what the disk refuses is told at its image.
            self._numbers = (self.folder / NUMBERS).open("ab", buffering=0) if self.shape else None
        self._committed = time.monotonic()

    @property
    def image_bytes(self) -> int:
        """Of one image's features."""
        assert self.shape is not None  # begun
        return bytes_of(self.shape, self.store.dtype)

    def places(self, digests: Sequence[int]) -> list[int | None]:
        """Return where the features of images are, None for those that are not there.

        An image that is there twice has features of its own for each time.

        Raises
        ------
        PniError
            There are features, and none of them is of these images.
        """
        used: dict[int, int] = {}
        found: list[int | None] = []
        for digest in digests:
            places, seen = self._places.get(digest, []), used.get(digest, 0)
            used[digest] = seen + 1
            found.append(places[seen] if seen < len(places) else None)
        if self.names and found and all(place is None for place in found):
            raise PniError(
                f"{self.folder}: holds features of other images: {self.names[0]!r}, the first of "
                f"{len(self.names)}, is not among those given; give another folder, or remove this one"
            )
        return found

    def check(self, places: Sequence[int], run: Run) -> None:
        """Hold features that are there against their checksums.

        Parameters
        ----------
        places
            Of the images, as :meth:`places` has them.
        run
            Its threads read; told the stage "store".

        Raises
        ------
        PniError
            Those of an image are not what was written: a disk or a hand has changed them.
        """
        if not places:
            return
        features = self.features()

        def altered(place: int) -> bool:
            return zlib.crc32(features[place].data) != self._checksums[place]

        for done, found in enumerate(ordered_map(altered, places, run.threads), 1):
            if found:
                name = self.names[places[done - 1]]
                raise PniError(
                    f"{self.folder / NUMBERS}: the features of image {name!r} are not those that were "
                    "written; remove the folder to make them anew"
                )
            run.progress("store", done, len(places))

    def begin(self, shape: tuple[int, ...], count: int) -> None:
        """Make room for the features of `count` more images.

        Raises
        ------
        PniError
            The disk has less, with both amounts; or they are of another shape than those that are there.
        """
        if self.shape is not None and shape != self.shape:
            raise PniError(f"{self.folder}: holds features of shape {self.shape}, this fit has {shape}")
        advice = "free some, or give a folder on a larger disk"
        check_disk(self.folder, count * bytes_of(shape, self.store.dtype), advice)
        if self.shape is None:
            write_header(self.folder, self.store.settings, self.store.dtype, shape)
            self.shape = shape
            with writing(self.folder):
                self._numbers = (self.folder / NUMBERS).open("ab", buffering=0)

    def add(self, digest: int, name: str, features: NDArray[Any]) -> None:
        """Keep the features of an image, of the shape and type that were begun with."""
        assert self._numbers is not None
        left = np.ascontiguousarray(features).data.cast("B")
        checksum = zlib.crc32(left)
        with writing(self.folder):
            while left:
                left = left[self._numbers.write(left) :]
        self._places.setdefault(digest, []).append(len(self.names))
        self.names.append(name)
        self._checksums.append(checksum)
        self._lines.append(json.dumps([digest, name, checksum]))
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def add_broken(self, digest: int, name: str, reason: str) -> None:
        """Record an image that cannot be read."""
        if self.shape is not None and digest not in self.broken:
            self.broken.add(digest)
            self._lines.append(json.dumps([digest, name, reason]))

    def commit(self) -> None:
        """Return when all that was added is on the disk and counts."""
        if self._lines:
            assert self._numbers is not None
            with writing(self.folder):
                os.fsync(self._numbers.fileno())
                with (self.folder / IMAGES).open("a", encoding="ascii", newline="\n") as file:
                    file.write("".join(f"{line}\n" for line in self._lines))
                    file.flush()
                    os.fsync(file.fileno())
            self._lines.clear()
        self._committed = time.monotonic()

    def features(self) -> NDArray[np.floating[Any]]:
        """Return all features, (n, h, w, d), mapped from the disk for reading; they outlive the store."""
        self.commit()
        assert self.shape is not None
        shape = (len(self.names), *self.shape)
        mapped: NDArray[np.floating[Any]] = np.memmap(
            self.folder / NUMBERS, dtype=self.store.dtype, mode="r", shape=shape
        )
        return mapped

    def close(self) -> None:
        """Keep what was added and let go of the files."""
        try:
            self.commit()
        finally:
            if self._numbers is not None:
                self._numbers.close()

    def _recover(self) -> None:
        """Read which images are there, and cut off what a killed process left unfinished."""
        if self.shape is None:
            return
        for name in (NUMBERS, IMAGES):
            (self.folder / name).touch()
        sync_folder(self.folder)
        whole = (self.folder / NUMBERS).stat().st_size // self.image_bytes
        end = 0
        with (self.folder / IMAGES).open("rb") as file:
            for line in file:
                try:
                    digest, name, last = json.loads(line)
                    number, known, broken = int(digest), str(name), isinstance(last, str)
                    checksum = 0 if broken else int(last)
                except (ValueError, TypeError):
                    break
                if not line.endswith(b"\n") or (not broken and len(self.names) == whole):
                    break
                end += len(line)
                if broken:
                    self.broken.add(number)
                else:
                    self._places.setdefault(number, []).append(len(self.names))
                    self.names.append(known)
                    self._checksums.append(checksum)
        for name, size in ((IMAGES, end), (NUMBERS, len(self.names) * self.image_bytes)):
            if (self.folder / name).stat().st_size > size:
                os.truncate(self.folder / name, size)
