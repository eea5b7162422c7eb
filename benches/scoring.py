"""nearest, position_histogram and max_likelihood against their peers."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from common import FLOAT32, Setting, case, equal, peer, points, shape
from features import grids
from numpy.typing import NDArray
from pni_fast import greedy_coreset, max_likelihood, nearest, position_histogram
from timing import Case


def search(setting: Setting) -> Iterator[Case]:
    """Yield nearest against faiss and scikit-learn, to a coreset and to rows at random."""
    for name, x in points(setting):
        count = min(2048, len(x) // 10)
        label = f"{shape(name, x)} to {count:,}"
        yield from _search(setting, label, x, x[greedy_coreset(x, count).indices])
        if name != "Gaussian":
            chosen = np.random.default_rng(0).choice(len(x), count, replace=False)
            yield next(_search(setting, f"{label} at random", x, x[chosen]))


def _search(
    setting: Setting, label: str, x: NDArray[np.float32], centers: NDArray[np.float32]
) -> Iterator[Case]:
    def ours() -> NDArray[np.int64]:
        return nearest(x, centers)[0]

    def faiss(module: ModuleType) -> Any:
        module.omp_set_num_threads(setting.threads)
        index = module.IndexFlatL2(x.shape[1])
        index.add(centers)
        return index.search(x, 1)[1][:, 0]

    def sklearn(module: ModuleType) -> Any:
        return module.pairwise_distances_argmin(x, centers)

    module = peer("faiss")
    yield case("nearest", label, "faiss IndexFlatL2", ours, module, faiss, share=equal, note=FLOAT32)
    module = peer("sklearn.metrics")
    yield case("nearest", label, "scikit-learn argmin", ours, module, sklearn, share=equal, note=FLOAT32)


def histogram(setting: Setting) -> Iterator[Case]:
    """Yield position_histogram against one addition per label and place of the window."""
    name, features = grids("lite", "train", setting.output, 2 if setting.quick else None)
    images, height, width, d = features.shape
    x = features.reshape(-1, d)
    classes = min(2048, len(x) // 100)
    labels = greedy_coreset(x, classes, assign=classes).labels.reshape(images, height, width)

    def add_at(_: ModuleType) -> NDArray[np.float32]:
        counts = np.zeros((height, width, classes))
        ys, xs = np.mgrid[:height, :width]
        for dy in range(-4, 5):
            for dx in range(-4, 5):
                y, x = ys + dy, xs + dx
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                for image in labels:
                    np.add.at(counts, (y[inside], x[inside], image[inside]), 1)
        return (counts / counts.sum(axis=2, keepdims=True)).astype(np.float32)

    label = f"{name} {images}×{height}×{width}, {classes:,} classes, 9×9"
    yield case(
        "position_histogram", label, "np.add.at", lambda: position_histogram(labels, classes), np, add_at,
        share=equal, exact=True,
    )  # fmt: skip


def likelihood(setting: Setting) -> Iterator[Case]:
    """Yield max_likelihood of one image against the dense way in torch; few, some, all groups allowed."""
    kinds = ("lite",) if setting.quick else ("lite", "dense")
    for kind in kinds:
        try:
            name, train = grids(kind, "train", setting.output, 2 if setting.quick else None)
            _, test = grids(kind, "test", setting.output, 1)
        except FileNotFoundError as error:
            print(f"(left out: {error})")
            continue
        yield from _likelihood(f"{name} {kind}", train, test[0], setting)


def _likelihood(
    name: str, train: NDArray[np.float32], image: NDArray[np.float32], setting: Setting
) -> Iterator[Case]:
    images, height, width, d = train.shape
    x, queries = train.reshape(-1, d), image.reshape(-1, d)
    size = min(7_500, len(x) // 20)
    classes = min(2048, size)
    picked = greedy_coreset(x, size, assign=classes)
    vectors = x[picked.indices]
    groups = picked.labels[picked.indices]
    shares = position_histogram(picked.labels.reshape(images, height, width), classes)
    rng = np.random.default_rng(0)
    masks = {
        "histogram": shares.reshape(-1, classes) > 1 / (2 * size),
        "random 20 %": rng.random((len(queries), classes)) < 0.2,
        "all": np.ones((len(queries), classes), dtype=bool),
    }
    for rule, allowed in masks.items():
        packed = np.packbits(allowed, axis=1, bitorder="little")

        def ours(packed: NDArray[np.uint8] = packed) -> NDArray[np.int64]:
            return max_likelihood(queries, vectors, groups, packed)[1]

        def torch(module: ModuleType, allowed: NDArray[np.bool_] = allowed) -> Any:
            module.set_num_threads(setting.threads)
            distances = module.cdist(module.from_numpy(queries), module.from_numpy(vectors))
            rows = module.from_numpy(allowed)[:, module.from_numpy(groups)]
            return distances.masked_fill_(~rows, float("inf")).min(dim=1).indices

        label = f"{shape(name, queries)} to {size:,} in {classes:,} groups, {rule} ({allowed.mean():.0%})"
        module = peer("torch")
        yield case("max_likelihood", label, "torch cdist, mask, min", ours, module, torch, note=FLOAT32)
