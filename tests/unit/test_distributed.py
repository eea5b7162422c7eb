"""A selection over several shards is that of one machine, bit for bit."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pni_fast import kernels
from pni_fast.distributed import InProcess, ShardActor, Threads, greedy_coreset
from pni_fast.distributed.executors import Call
from pni_fast.distributed.ray_executor import _Host
from pni_fast.errors import DataError


def points(kind: str, rows: int = 900, columns: int = 40) -> NDArray[np.float32]:
    random = np.random.default_rng(5)
    if kind == "planes":
        values = random.normal(size=(rows, 6)) @ random.normal(size=(6, columns))
    elif kind == "ties":
        values = random.integers(-1, 2, (rows, columns)).astype(float)
    elif kind == "duplicates":
        values = random.normal(size=(rows // 9, columns))[random.integers(0, rows // 9, rows)]
    elif kind == "short":
        values = random.integers(-30, 31, (rows, 3)).astype(float)
    else:
        values = np.ones((rows, columns))
    return values.astype(np.float32)


def split(features: NDArray[np.float32], count: int) -> list[NDArray[np.float32]]:
    """Shards of unequal size, the second of one row."""
    ends = [0, 20, 21, 150, 151, 400, 700]
    return [features[a:b] for a, b in pairwise([*ends[:count], len(features)])]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["planes", "ties", "duplicates", "short", "one"])
def test_shards_pick_as_one_machine_does(kind: str, count: int) -> None:
    features = points(kind)
    shards = split(features, count)
    assert len(shards) == count
    for size, start in ((400, 7), (len(features), 20)):
        expected = kernels.greedy_coreset(features, size, start=start)
        found = greedy_coreset(shards, size, start=start, executor=Threads())
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.radii, expected.radii)


def test_files_and_float16_are_read_where_they_are(tmp_path: Path) -> None:
    features = points("planes").astype(np.float16)
    for number, shard in enumerate(split(features, 3)):
        np.save(tmp_path / f"{number}.npy", shard)
    found = greedy_coreset([tmp_path / f"{number}.npy" for number in range(3)], 0.1, num_threads=1)
    expected = kernels.greedy_coreset(features, 0.1)
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert found.hot_rows >= len(found.indices) - 1
    assert found.bytes_sent > found.hot_rows * features.shape[1] * 4
    assert str(found).startswith(f"90 picks in {found.rounds} rounds")


class Counting(InProcess):
    """Notes which rows are asked for."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int]] = []

    def run(self, calls: Sequence[Call]) -> list[Any]:
        for actor, name, arguments in calls:
            if name == "rows":
                self.rows += [(id(actor), number) for number in arguments[0].tolist()]
        return super().run(calls)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_few_hot_rows_travel_and_each_once(count: int) -> None:
    features = points("planes", 6000)
    shards = np.array_split(features, count)
    executor = Counting()
    found = greedy_coreset(shards, 120, executor=executor, num_threads=1)
    np.testing.assert_array_equal(found.indices, kernels.greedy_coreset(features, 120).indices)
    assert len(executor.rows) == len(set(executor.rows)) == found.hot_rows + 1  # and the first pick
    assert found.hot_rows <= 3 * 120
    assert found.rounds <= 50


class Forgetful(InProcess):
    """Loses an actor now and then, and replays what its successor has to know."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.actors: list[ShardActor] = []
        self.told: list[list[tuple[str, tuple[Any, ...]]]] = []
        self.calls = 0
        self.lost = 0

    def start(self, make: Callable[..., ShardActor], *arguments: Any) -> int:
        self.made.append((make, *arguments))
        self.actors.append(make(*arguments))
        self.told.append([])
        return len(self.actors) - 1

    def run(self, calls: Sequence[Call]) -> list[Any]:
        results = []
        for handle, name, arguments in calls:
            self.calls += 1
            if self.calls % 7 == 0:
                self.lost += 1
                make, *made_of = self.made[handle]
                actor = make(*made_of)
                told = self.told[handle]
                if told:
                    getattr(actor, told[0][0])(*told[0][1])
                if len(told) > 1:
                    actor.take(np.concatenate([picks for _, (picks,) in told[1:]]))
                self.actors[handle] = actor
            results.append(getattr(self.actors[handle], name)(*arguments))
            if name in ("begin", "take"):
                self.told[handle].append((name, arguments))
        return results


@pytest.mark.parametrize("kind", ["planes", "short", "duplicates"])
def test_a_shard_that_is_lost_is_made_again(kind: str) -> None:
    features = points(kind)
    executor = Forgetful()
    found = greedy_coreset(split(features, 3), 300, executor=executor)
    expected = kernels.greedy_coreset(features, 300)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.radii, expected.radii)
    assert executor.lost > 3


def unaligned(array: NDArray[np.float32]) -> NDArray[np.float32]:
    view = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


class Hosts(InProcess):
    """Holds actors as Ray does, for which one that cannot be made is one that was lost."""

    def start(self, make: Callable[..., Any], *arguments: Any) -> Any:
        return _Host(make, *arguments)

    def run(self, calls: Sequence[Call]) -> list[Any]:
        return [actor.call(name, *arguments) for actor, name, arguments in calls]


WHOLE = io.BytesIO()
np.save(WHOLE, points("planes", 30))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"garbage " * 99, "not such a file"),
        (WHOLE.getvalue()[:-1], "mmap length is greater than file size"),
        (WHOLE.getvalue()[:40], "EOF: reading array header"),
        (b'\x93NUMPY\x01\x00\x08\x00{((\n"""\'', ""),
    ],
)
@pytest.mark.parametrize("executor", [InProcess, Hosts])
def test_a_file_that_is_no_shard_is_named(
    executor: type[InProcess], content: bytes | None, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.npy"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        greedy_coreset([points("planes", 30), file], 3, executor=executor())
    message = f"shard 1 must be a .npy file with a matrix of float32 or float16, got {file}: {reason}"
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_pipe_are_no_shards(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    for file in (tmp_path, pipe):
        with pytest.raises(DataError, match=rf"^shard 0 must be .* got {re.escape(str(file))}: no "):
            greedy_coreset([file], 1)


def test_what_cannot_be_a_shard_is_refused_in_one_line() -> None:
    features = points("planes", 30)
    bad = features.copy()
    bad[4, 1] = np.nan
    masked = np.ma.masked_array(features)
    masked[3, :2] = np.ma.masked
    for shards, message in (
        ([], "shards must be at least one, got none"),
        ([features, features[:0]], "shard 1 must have at least one row and one column, got shape (0, 40)"),
        ([features, features[:, :5].copy()], "shard 1 must have 40 columns as shard 0 has, got 5"),
        ([features.astype(float)], "shard 0 must be a matrix of float32 or float16 in C order"),
        ([features, bad], "shard 1: features must"),
        (
            [np.asfortranarray(features)],
            "shard 0 must be a matrix of float32 or float16 in C order, "
            "got 2 dimensions of float32 in Fortran order",
        ),
        ([features[:, ::2]], "shard 0 must be a matrix of float32 or float16 in C order, got"),
        ([features, unaligned(features)], "shard 1 must be aligned in memory as float32 is, got rows that"),
        (
            [np.ma.masked_array(features, features > 9.0)[:5], masked],
            "shard 1 must have no masked entries, got 2",
        ),
        ([features, list(masked)], "shard 1 must have no masked entries, got 2; fill or drop them"),
    ):
        with pytest.raises(DataError) as caught:
            greedy_coreset(shards, 3)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"size must be an int in \[1, 60\]"):
        greedy_coreset([features, features], 61)
    with pytest.raises(ValueError, match=r"start must be an int in \[0, 59\]"):
        greedy_coreset([features, features], 6, start=60)
