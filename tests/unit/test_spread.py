"""Pictures split over workers give the model that one process gives, byte for byte."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pni_fast import PNI
from pni_fast.data import Source
from pni_fast.distributed import InProcess
from pni_fast.errors import DataError
from pni_fast.model import spread as spreading
from pni_fast.model.spread import Spread


class Counting(InProcess):
    """Notes who was started and ended, and how many pictures each call had."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.stopped: list[Any] = []
        self.pictures: list[list[int]] = []

    def start(self, make: Any, *arguments: Any) -> Any:
        self.started.append(super().start(make, *arguments))
        return self.started[-1]

    def stop(self, handle: Any) -> None:
        self.stopped.append(handle)

    def run(self, calls: Any) -> list[Any]:
        self.pictures.append([len(arguments[0]) for _, _, arguments in calls])
        return super().run(calls)


@pytest.fixture
def model() -> PNI:
    return PNI(device="cpu", num_threads=2, neighborhood=False)


@pytest.mark.parametrize(("workers", "used"), [(1, 1), (3, 3), (9, 4)])
def test_the_model_is_that_of_one_process(
    workers: int,
    used: int,
    model: PNI,
    shared_category: Path,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(spreading, "SHARE", 1)
    executor, told = Counting(), []
    spread = Spread(executor, workers)
    model.fit(shared_category, spread=spread, progress=lambda *event: told.append(event))
    model.save(tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_bytes() == model_file.read_bytes()
    assert len(executor.started) == used
    assert executor.stopped == executor.started
    assert sum(map(sum, executor.pictures)) == 4
    assert [event for event in told if event[0] == "features"] == [("features", n, 4) for n in range(1, 5)]


def test_what_a_store_holds_starts_no_worker(sources: list[Source], tmp_path: Path) -> None:
    good = [source for source in sources if source.content.shape[2] == 3]
    executors = Counting(), Counting()
    models = []
    for executor in executors:
        model = PNI(device="cpu", num_threads=1, size="64", coreset_ratio=0.1)
        model.fit(good, store=tmp_path / "store", spread=Spread(executor, 2)).save(tmp_path / "m.safetensors")
        models.append((tmp_path / "m.safetensors").read_bytes())
    assert len(executors[0].started) == 2
    assert not executors[1].started
    assert models[0] == models[1]


@pytest.fixture
def sources() -> list[Source]:
    """Twelve pictures, of which the first, two beside each other and the last are none."""
    random = np.random.default_rng(0)
    pictures = [Source(f"{n}", random.integers(0, 256, (64, 64, 3), np.uint8)) for n in range(12)]
    for number in (0, 5, 6, 11):
        pictures[number] = Source(str(number), np.zeros((8, 8, 7), np.uint8))
    return pictures


def test_what_cannot_be_read_is_told_in_order(sources: list[Source], tmp_path: Path) -> None:
    found = []
    for spread in (None, Spread(Counting(), 3)):
        model = PNI(device="cpu", num_threads=1, size="64", coreset_ratio=0.1)
        model.fit(sources, skip_broken=True, spread=spread)
        model.save(tmp_path / "model.safetensors")
        found.append(((tmp_path / "model.safetensors").read_bytes(), model.skipped_))
    assert [name for name, _ in found[0][1]] == ["0", "5", "6", "11"]
    assert found[0] == found[1]


def test_a_broken_picture_ends_the_fit_and_the_workers(sources: list[Source]) -> None:
    executor = Counting()
    messages = []
    for spread in (None, Spread(executor, 2)):
        with pytest.raises(DataError) as raised:
            PNI(device="cpu", num_threads=1, size="64").fit(sources[1:], spread=spread)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert executor.stopped == executor.started


def test_pictures_that_are_nearly_black_are_told(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (64, 64), (9, 9, number)).save(tmp_path / f"{number}.png")
    for spread in (None, Spread(Counting(), 2)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            PNI(device="cpu", num_threads=1, size="64", coreset_ratio=0.1).fit(tmp_path, spread=spread)
        assert any("highest value of all 3 pictures: 9 of 255" in str(one.message) for one in caught)
