"""Time a coreset over workers of a Ray cluster on this machine beside the kernel in one process.

    python benches/shards.py FEATURES.npy [--rows 1190000] [--size 0.01] [--workers 1,2,4] [--repeat 3]

FEATURES holds rows, float32 or float16 (n, d), or features (n, h, w, d). The first `--rows` of them are
written once in one file, and once in as many files of about the same length as there are workers. Sides run
in turn; a side's time is the call's, with its workers' start (the rows are mapped and sketched there) and
without that of Ray itself. Picks are compared each time. With `--limit` a worker may take so many MiB of
private memory (RLIMIT_DATA; mapped files are free).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pni_fast import greedy_coreset
from pni_fast.distributed import RayExecutor, Selection
from pni_fast.distributed import greedy_coreset as over_shards
from pni_fast.distributed.executors import Call


class Limited(RayExecutor):
    """Workers that may take so many MiB of private memory."""

    def __init__(self, limit: int | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.limit = limit
        self.began, self.up = time.perf_counter(), 0.0

    def start(self, make: Callable[..., Any], *arguments: Any) -> Any:
        return super().start(limited, self.limit, make, *arguments)

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Note when all have answered for the first time."""
        answers = super().run(calls)
        self.up = self.up or time.perf_counter() - self.began
        return answers

    @property
    def lost(self) -> int:
        """How often a worker was lost and made again."""
        return sum(handle.losses for handle in self._handles)


def limited(limit: int | None, make: Callable[..., Any], *arguments: Any) -> Any:
    """Make an actor, in a process that may take no more from now on."""
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
    return make(*arguments)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("--rows", type=int, default=1_190_000)
    parser.add_argument("--size", type=float, default=0.01)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None, help="of the kernel in one process")
    parser.add_argument("--limit", type=int, default=None, help="MiB of private memory of a worker")
    options = parser.parse_args(arguments)
    sides = [int(text) for text in options.workers.split(",")]
    found = np.load(options.features, mmap_mode="r")
    found = found.reshape(-1, found.shape[-1])[: options.rows]
    taken: dict[int, list[float]] = {side: [] for side in (0, *sides)}
    up: dict[int, list[float]] = {side: [0.0] for side in taken}
    said: dict[int, Selection] = {}
    lost = 0
    with tempfile.TemporaryDirectory() as name, RayExecutor():
        folder = Path(name)
        np.save(folder / "all.npy", found)
        files = {side: split(found, side, folder) for side in sides}
        rows = np.load(folder / "all.npy", mmap_mode="r")
        for _ in range(options.repeat):
            began = time.perf_counter()
            expected = greedy_coreset(rows, options.size, num_threads=options.threads).indices
            taken[0].append(time.perf_counter() - began)
            for side in sides:
                with Limited(options.limit, actors=side) as executor:
                    executor.began = began = time.perf_counter()
                    said[side] = over_shards(
                        files[side], options.size, executor=executor, num_threads=executor.threads
                    )
                    taken[side].append(time.perf_counter() - began)
                    up[side].append(executor.up)
                    lost += executor.lost
                np.testing.assert_array_equal(said[side].indices, expected)
    size = f"{rows.dtype}, {rows.nbytes / 2**20:,.0f} MiB"
    print(f"{len(rows):,} rows of {rows.shape[1]:,} columns, {size}, {len(expected):,} picks")
    if options.limit is not None:
        print(f"a worker had {options.limit:,} MiB; workers were lost {lost} times")
    for side, seconds in taken.items():
        what = f"{side} workers: {said[side]}" if side else "one process"
        middle, least, most = statistics.median(seconds), min(seconds), max(seconds)
        ratio = middle / statistics.median(taken[0])
        started = f", workers up after {statistics.median(up[side][1:]):.2f} s" if side else ""
        print(f"{middle:7.2f} s ({least:.2f}-{most:.2f}), {ratio:.2f} times, {what}{started}")
    return 0


def split(rows: np.ndarray, parts: int, folder: Path) -> list[Path]:
    """Write rows into some files of about the same length."""
    files = [folder / f"{parts}-{number:03}.npy" for number in range(parts)]
    for file, part in zip(files, np.array_split(rows, parts), strict=True):
        np.save(file, part)
    return files


if __name__ == "__main__":
    raise SystemExit(main())
