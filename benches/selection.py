"""greedy_coreset against other ways to select: features, and a cloud of points in three dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from common import FLOAT32, Setting, case, equal, peer, points, shape
from numpy.typing import NDArray
from pni_fast import _core, greedy_coreset
from timing import Case


def coreset(setting: Setting) -> Iterator[Case]:
    """Yield greedy_coreset at 1 % against the plain scan, anomalib and fpsample."""
    for name, x in points(setting):
        yield from _coreset(name, x)


def _coreset(name: str, x: NDArray[np.float32]) -> Iterator[Case]:
    size = max(1, len(x) // 100)
    label = f"{shape(name, x)}, {size:,} picks"

    def ours() -> NDArray[np.int64]:
        return greedy_coreset(x, size).indices

    def scan(_: ModuleType) -> NDArray[np.int64]:
        return _core._scan_coreset(x, size)[0]

    def anomalib(module: ModuleType) -> Any:
        import torch

        sampler = module.KCenterGreedy(torch.from_numpy(x), (size + 0.5) / len(x))
        return sampler.select_coreset_idxs()

    def fpsample(module: ModuleType) -> Any:
        return module.fps_sampling(x, size, start_idx=0)

    kernel = "greedy_coreset"
    yield case(kernel, label, "plain scan", ours, np, scan, share=equal, exact=True)
    module = peer("anomalib.models.components.sampling.k_center_greedy")
    note = "approximate: random projection, random start"
    yield case(kernel, label, "anomalib KCenterGreedy", ours, module, anomalib, note=note)
    yield case(
        kernel, label, "fpsample.fps_sampling", ours, peer("fpsample"), fpsample, share=equal, note=FLOAT32
    )


def cloud(setting: Setting) -> Iterator[Case]:
    """Yield a uniform cloud in the unit cube against fpsample's bucket trees.

    The trees (fpsample 1.0.2) take `start_idx` for a row of their own order, so that they begin at another
    row than the one asked for. Answers are compared with our selection from the row they began at.
    """
    rows, size = (20_000, 200) if setting.quick else (1_000_000, 10_000)
    x = np.random.default_rng(0).random((rows, 3), dtype=np.float32)
    label = f"{shape('uniform cloud', x)}, {size:,} picks"

    def ours() -> NDArray[np.int64]:
        return greedy_coreset(x, size).indices

    @cache
    def from_row(start: int) -> NDArray[np.int64]:
        return greedy_coreset(x, size, start=start).indices

    def share(_: Any, expected: Any) -> float:
        return equal(from_row(int(expected[0])), expected)

    def line(module: ModuleType) -> Any:
        return module.bucket_fps_kdline_sampling(x, size, h=9, start_idx=0)

    def tree(module: ModuleType) -> Any:
        return module.bucket_fps_kdtree_sampling(x, size, start_idx=0)

    note = f"{FLOAT32}; begins at another row than asked for"
    for name, run in (("bucket_fps_kdline_sampling h=9", line), ("bucket_fps_kdtree_sampling", tree)):
        module = peer("fpsample")
        yield case("greedy_coreset", label, f"fpsample.{name}", ours, module, run, share=share, note=note)
