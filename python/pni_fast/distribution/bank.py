"""The coreset without some of its images, exactly and without a second fit.

Of an image left out nothing stays behind: its features leave C_emb and C_dist, whatever was nearest to one of
its C_dist vectors (patches of the other images, rows of C_emb) goes to the nearest of those that are left,
and p(c|x) is counted again from the other images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.kernels import nearest, position_histogram
from pni_fast.kernels.packing import pack

from .counts import WIDEST, WindowCounts
from .features import Features, held
from .threshold import threshold

REMEMBERED = 256
"""Images of which is kept what becomes of the patches nearest to their vectors: about 64 KB each."""


@dataclass(frozen=True, eq=False)
class Rest:
    """What is left without some images.

    Parameters
    ----------
    coreset, groups
        C_emb without their rows, and the C_dist index of each.
    kept
        (n',) int64: numbers of the other images, rising.
    owner
        The image that each row of `coreset` is of.
    whole
        (n, h, w) C_dist index of every patch of all images, before they were left out.
    moved, now
        Patches of the other images, by their places in all labels flattened, that have another class now.
    """

    coreset: NDArray[np.float32]
    groups: NDArray[np.int64]
    kept: NDArray[np.int64]
    owner: NDArray[np.int64]
    whole: NDArray[np.int64]
    moved: NDArray[np.int64]
    now: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n', h, w) C_dist index of every patch of the other images: a copy as large as all labels."""
        return self.labels_of(self.kept)

    def labels_of(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels of some images that are left, (k, h, w); their numbers rise."""
        labels = self.whole[images]
        flat = labels.reshape(len(images), self.whole[0].size)
        image, patch = np.divmod(self.moved, flat.shape[1])
        place = np.searchsorted(images, image)
        here = place < len(images)
        here[here] = images[place[here]] == image[here]
        flat[place[here], patch[here]] = self.now[here]
        return labels


class Bank:
    """C_emb with the image that each of its vectors is of.

    Parameters
    ----------
    features
        (n, h, w, d) normal features, float32 or float16, or where they are.
    labels
        (n, h, w) index of the nearest C_dist vector.
    picked
        (m,) rows of the flattened features that are C_emb, C_dist first.
    groups
        (m,) C_dist index of each of them.
    window
        p, the side of the position histogram's window.
    n_classes
        K; where fewer vectors differ than are in C_dist, some have no label and no group.
    coreset
        C_emb, where it is at hand already.
    distances
        (n, h, w) float32: how far every patch is from the vector of its label, where it is known.

    Attributes
    ----------
    left_out : dict
        By number of an image that was scored without itself, and by condition, the distance of each of its
        patches, float32 (h·w,): whoever finds them puts them here, so that nobody has to again.
    """

    def __init__(
        self,
        features: NDArray[np.floating[Any]] | Features,
        labels: NDArray[np.int64],
        picked: NDArray[np.int64],
        groups: NDArray[np.int64],
        window: int,
        n_classes: int,
        coreset: NDArray[np.float32] | None = None,
        distances: NDArray[np.float32] | None = None,
    ) -> None:
        self.features = held(features)
        self.count, self.height, self.width, _ = self.features.shape
        self.area = self.height * self.width
        self.labels, self.groups, self.window, self.distances = labels, groups, window, distances
        self.owner = picked // self.area
        self.coreset = self.features.rows(picked) if coreset is None else coreset
        self.n_classes = n_classes
        self.counts = WindowCounts(labels, self.n_classes, window)
        flat = labels.reshape(-1)
        # NumPy sorts 16 bits by counting; beyond, a sort of all labels is still done once only.
        narrow = flat.astype(np.uint16) if self.n_classes <= 1 << 16 else flat
        order = np.argsort(narrow, kind="stable")
        self.order = order.astype(np.uint32) if len(flat) < 1 << 32 else order
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=self.n_classes))])
        self._moved: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.left_out: dict[int, Mapping[str, NDArray[np.float32]]] = {}

    def of(self, image: int) -> NDArray[np.float32]:
        """Return Φ of an image, float32 (h·w, d)."""
        return self.features.of(image)

    def can_lose(self, *images: int) -> bool:
        """Whether anything of C_dist is left without these images."""
        return bool((~np.isin(self.owner[: self.n_classes], images)).any())

    def without(self, *images: int) -> Rest:
        """Return what is left without these images, which :meth:`can_lose` allows."""
        lost = np.isin(self.owner[: self.n_classes], images)
        left = np.flatnonzero(~lost)
        parts = [self._moved_without(image) for image in images]
        moved, now = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        other = ~np.isin(moved // self.area, images)
        order = np.argsort(moved[other])
        moved, now = moved[other][order], now[other][order]
        again = np.flatnonzero(lost[now])
        now[again] = self._nearest_of(left, moved[again])
        groups = self.groups.copy()
        stays = ~np.isin(self.owner, images)
        orphans = np.flatnonzero(lost[groups] & stays)
        if len(orphans):
            groups[orphans] = left[nearest(self.coreset[orphans], self.coreset[left], num_threads=1)[0]]
        kept = np.setdiff1d(np.arange(self.count), images)
        return Rest(self.coreset[stays], groups[stays], kept, self.owner[stays], self.labels, moved, now)

    def nearest_left(
        self, image: int, own: NDArray[np.float32], rest: Rest
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return what `nearest` says of an image's own patches, (h·w, d), and what is left without it.

        Where every vector of C_emb is of C_dist too, labels say what is nearest: only patches nearest to a
        vector of this image itself are searched for.
        """
        if self.distances is None or self.n_classes < len(self.coreset):
            return nearest(own, rest.coreset, num_threads=1)
        known = self.labels[image].ravel(), self.distances[image].ravel()
        return nearest_without(own, known, self.owner, rest.coreset, image)

    def histogram(self, rest: Rest) -> NDArray[np.float32]:
        """Return p(c|x) of the images that are left, float32 (h, w, K)."""
        if self.window > WIDEST:
            return position_histogram(rest.labels, self.n_classes, patch=self.window, num_threads=1)
        return self.counts.histogram(self._lost(rest), rest.moved, rest.now)

    def position_sets(self, rest: Rest) -> NDArray[np.uint8]:
        """Return what the threshold on p(c|x) of the other images allows, packed bits (h·w, ceil(K / 8))."""
        tau = threshold(len(rest.coreset))
        if self.window > WIDEST:
            return pack(self.histogram(rest).reshape(self.area, self.n_classes) > tau)
        return self.counts.sets(self._lost(rest), rest.moved, rest.now, tau)

    def _lost(self, rest: Rest) -> NDArray[np.int64]:
        return np.setdiff1d(np.arange(self.count), rest.kept)

    def _moved_without(self, image: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the patches of other images that lose their class with one image, rising, and the next ones.

        Images are left out alone, in pairs and again: this is searched for once.
        """
        known = self._moved.get(image)
        if known is None:
            lost = self.owner[: self.n_classes] == image
            patches = self._patches(np.flatnonzero(lost))
            patches = patches[patches // self.area != image]
            known = patches, self._nearest_of(np.flatnonzero(~lost), patches)
            if len(self._moved) < REMEMBERED:
                self._moved[image] = known
        return known

    def _nearest_of(self, classes: NDArray[np.int64], patches: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for every patch the nearest of some classes, which rise."""
        if not len(patches):
            return patches
        return classes[nearest(self.features.rows(patches), self.coreset[classes], num_threads=1)[0]]

    def _patches(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the patches of some classes, by their places in all labels flattened, rising."""
        parts = [self.order[self.starts[one] : self.starts[one + 1]] for one in classes]
        return np.sort(np.concatenate([*parts, self.order[:0]])).astype(np.int64)


def nearest_without(
    rows: NDArray[np.float32],
    found: tuple[NDArray[np.int64], NDArray[np.float32]],
    owner: NDArray[np.int64],
    left: NDArray[np.float32],
    image: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `nearest` says without one image more: only rows nearest to its vectors are searched again.

    Parameters
    ----------
    rows
        Features (n, d).
    found
        What `nearest` says of them and the vectors so far.
    owner
        The image that each of these is of.
    left
        Those of other images.
    image
        The image to leave out.
    """
    stays = owner != image
    indices, distances = (np.cumsum(stays) - 1)[found[0]], found[1].copy()
    lost = np.flatnonzero(~stays[found[0]])
    if len(lost):
        indices[lost], distances[lost] = nearest(rows[lost], left, num_threads=1)
    return indices, distances
