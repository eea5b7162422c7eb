"""What is compared with what."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from features import grids
from numpy.typing import NDArray
from pni_fast import _core, greedy_coreset, max_likelihood, nearest, position_histogram
from timing import Case


@dataclass(frozen=True)
class Setting:
    quick: bool
    output: Path
    threads: int


def peer(name: str) -> ModuleType | str:
    """Import a peer; a text saying why not, when it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        return f"{name.split('.', maxsplit=1)[0]} ({error})"


def case(
    kernel: str, size: str, name: str, ours: Any, module: ModuleType | str, run: Any, **more: Any
) -> Case:
    if isinstance(module, str):
        return Case(kernel, size, name, ours, None, missing=module)
    return Case(kernel, size, name, ours, lambda: run(module), **more)


def points(setting: Setting) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield named feature matrices: lite and DenseNet-201 features, and points without structure."""
    count = 2 if setting.quick else None
    for kind in ("lite",) if setting.quick else ("lite", "dense"):
        try:
            name, features = grids(kind, "train", setting.output, count)
        except FileNotFoundError as error:
            print(f"(left out: {error})")
            continue
        yield f"{name} {kind}", features.reshape(-1, features.shape[-1])
    rows = 2_000 if setting.quick else 20_000
    noise = np.random.default_rng(0).normal(size=(rows, 1024)).astype(np.float32)
    yield "Gaussian", noise


def shape(name: str, x: NDArray[Any]) -> str:
    return f"{name} {x.shape[0]:,}×{x.shape[1]}"


def coreset(setting: Setting) -> Iterator[Case]:
    for name, x in points(setting):
        size = max(1, len(x) // 100)
        label = f"{shape(name, x)}, {size:,} picks"

        def ours(x: NDArray[np.float32] = x, size: int = size) -> NDArray[np.int64]:
            return greedy_coreset(x, size).indices

        def scan(_: ModuleType, x: NDArray[np.float32] = x, size: int = size) -> NDArray[np.int64]:
            return _core._scan_coreset(x, size)[0]

        def anomalib(module: ModuleType, x: NDArray[np.float32] = x, size: int = size) -> Any:
            import torch

            sampler = module.KCenterGreedy(torch.from_numpy(x), (size + 0.5) / len(x))
            return sampler.select_coreset_idxs()

        def fpsample(module: ModuleType, x: NDArray[np.float32] = x, size: int = size) -> Any:
            return module.fps_sampling(x, size, start_idx=0)

        same = np.array_equal
        yield case("greedy_coreset", label, "plain scan", ours, np, scan, same=same, note="same picks, exact")
        note = "approximate: random projection"
        module = peer("anomalib.models.components.sampling.k_center_greedy")
        yield case("greedy_coreset", label, "anomalib KCenterGreedy", ours, module, anomalib, note=note)
        note = "decides in float32"
        yield case(
            "greedy_coreset", label, "fpsample.fps_sampling", ours, peer("fpsample"), fpsample, note=note
        )


def search(setting: Setting) -> Iterator[Case]:
    for name, x in points(setting):
        centers = x[greedy_coreset(x, min(2048, len(x) // 10)).indices]
        label = f"{shape(name, x)} to {len(centers):,}"

        def ours(x: NDArray[np.float32] = x, c: NDArray[np.float32] = centers) -> NDArray[np.int64]:
            return nearest(x, c)[0]

        def faiss(module: ModuleType, x: NDArray[np.float32] = x, c: NDArray[np.float32] = centers) -> Any:
            module.omp_set_num_threads(setting.threads)
            index = module.IndexFlatL2(x.shape[1])
            index.add(c)
            return index.search(x, 1)

        def sklearn(module: ModuleType, x: NDArray[np.float32] = x, c: NDArray[np.float32] = centers) -> Any:
            return module.pairwise_distances_argmin(x, c)

        note = "decides in float32"
        yield case("nearest", label, "faiss IndexFlatL2", ours, peer("faiss"), faiss, note=note)
        yield case("nearest", label, "scikit-learn argmin", ours, peer("sklearn.metrics"), sklearn, note=note)


def histogram(setting: Setting) -> Iterator[Case]:
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
        same=np.array_equal,
    )  # fmt: skip


def likelihood(setting: Setting) -> Iterator[Case]:
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
            return distances.masked_fill_(~rows, float("inf")).min(dim=1)

        label = f"{shape(name, queries)} to {size:,} in {classes:,} groups, {rule} ({allowed.mean():.0%})"
        note = "decides in float32"
        yield case("max_likelihood", label, "torch cdist, mask, min", ours, peer("torch"), torch, note=note)


CASES: dict[str, Callable[[Setting], Iterator[Case]]] = {
    "nearest": search,
    "likelihood": likelihood,
    "histogram": histogram,
    "coreset": coreset,
}
