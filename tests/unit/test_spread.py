"""Pictures split over workers give the model that one process gives, byte for byte."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pni_fast import PNI
from pni_fast.data import Source
from pni_fast.distributed import InProcess
from pni_fast.distributed.ray_executor import STATE
from pni_fast.errors import DataError
from pni_fast.model.spread import Spread
from pni_fast.model.spread import coordinator as spreading

BROKEN = (0, 5, 6, 11)


class Counting(InProcess):
    """Notes who was started and ended, and what was called."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.stopped: list[Any] = []
        self.called: Counter[str] = Counter()

    def start(self, make: Any, *arguments: Any) -> Any:
        self.started.append(super().start(make, *arguments))
        return self.started[-1]

    def stop(self, handle: Any) -> None:
        self.stopped.append(handle)

    def run(self, calls: Any) -> list[Any]:
        self.called[calls[0][1]] += 1
        return super().run(calls)


class Forgetful(Counting):
    """Loses those who are called, and makes them again as an executor must: at (method, how often called)."""

    def __init__(self, *moments: tuple[str, int]) -> None:
        super().__init__()
        self.moments, self.losses = moments, 0
        self.told: dict[int, list[Any]] = {}

    def start(self, make: Any, *arguments: Any) -> Any:
        super().start(make, *arguments)
        return len(self.started) - 1, lambda: make(*arguments)

    def stop(self, handle: Any) -> None:
        super().stop(self.started[handle[0]])

    def lose(self, handle: Any) -> None:
        number, again = handle
        self.started[number], self.losses = again(), self.losses + 1
        for name, arguments in self.told.get(number, []):
            getattr(self.started[number], name)(*arguments)

    def run(self, calls: Any) -> list[Any]:
        for handle, name, arguments in calls:
            if (name, self.called[name]) in self.moments:
                self.lose(handle)
            if name in STATE:
                self.told.setdefault(handle[0], []).append((name, arguments))
        return super().run([(self.started[handle[0]], *call) for handle, *call in calls])


@pytest.fixture
def sources() -> list[Source]:
    """Twelve pictures, of which the first, two beside each other and the last are none."""
    random = np.random.default_rng(0)
    pictures = [Source(f"{n}", random.integers(0, 256, (64, 64, 3), np.uint8)) for n in range(12)]
    for number in BROKEN:
        pictures[number] = Source(str(number), np.zeros((8, 8, 7), np.uint8))
    return pictures


@pytest.fixture
def good(sources: list[Source]) -> list[Source]:
    return [source for number, source in enumerate(sources) if number not in BROKEN]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def small(**settings: Any) -> PNI:
    return PNI(device="cpu", num_threads=1, size="64", coreset_ratio=0.1, **settings)


def saved(model: PNI, folder: Path) -> bytes:
    model.save(folder / "model.safetensors")
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("workers", "used", "kept"), [(1, 1, True), (9, 4, True), (3, 3, False)])
def test_the_model_is_that_of_one_process(
    workers: int,
    used: int,
    kept: bool,
    shared_category: Path,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(spreading, "SHARE", 1)
    executor, told = Counting(), []
    model = PNI(device="cpu", num_threads=2).fit(
        shared_category,
        spread=Spread(executor, workers),
        store=None if kept else tmp_path / "store",
        progress=lambda *event: told.append(event),
    )
    assert saved(model, tmp_path) == model_file.read_bytes()
    assert len(executor.started) == used
    assert executor.stopped == executor.started
    assert (executor.called["labels"], executor.called["features"] > 0) == (int(kept), not kept)
    step = used if kept else 1
    assert [done for stage, done, total in told if stage == "features"] == list(range(step, 5, step))


def test_workers_that_are_lost_change_nothing(good: list[Source], folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(spreading, "SHARE", 2)
    alone = saved(small().fit(good), folder)
    moments = {"extract": 1, "rows": 0, "begin": 0, "hot": 2, "labels": 0, "described": 0}
    executor = Forgetful(*moments.items(), ("rows", 30))
    assert saved(small().fit(good, spread=Spread(executor, 2)), folder) == alone
    assert executor.losses >= 5 * 2 + 2  # both workers, but where the rows of one were asked for


def test_an_inspected_region_and_half_the_bytes(good: list[Source], folder: Path) -> None:
    roi, found = np.zeros((64, 64), bool), []
    roi[16:48, 8:40] = True
    for spread in (None, Spread(Counting(), 3)):
        model = small(feature_dtype="float16").fit(good, roi=roi, spread=spread)
        found.append(saved(model, folder))
    assert found[0] == found[1]


@pytest.mark.parametrize(("chosen", "workers"), [(range(12), 3), ([5, 6, 1, 2, 3, 4, 7, 8], 4)])
def test_what_cannot_be_read_is_told_in_order(
    chosen: list[int], workers: int, sources: list[Source], folder: Path
) -> None:
    chosen, found = list(chosen), []
    for spread in (None, Spread(Counting(), workers)):
        model = small().fit([sources[number] for number in chosen], skip_broken=True, spread=spread)
        found.append((saved(model, folder), model.skipped_))
    assert [name for name, _ in found[0][1]] == [str(number) for number in chosen if number in BROKEN]
    assert found[0] == found[1]


def test_a_broken_picture_ends_the_fit_and_the_workers(sources: list[Source]) -> None:
    executor = Counting()
    messages = []
    for spread in (None, Spread(executor, 2)):
        with pytest.raises(DataError) as raised:
            small().fit(sources[1:], spread=spread)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    with pytest.raises(DataError, match="none of the 2 images could be read"):
        small().fit(sources[5:7], skip_broken=True, spread=Spread(executor, 2))
    assert executor.stopped == executor.started


@pytest.mark.parametrize("moment", ["begin", "labels", "rows"])
def test_pictures_that_are_gone_when_a_worker_is_made_again(moment: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(4):
        pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")

    class Late(Forgetful):
        def lose(self, handle: Any) -> None:
            (tmp_path / "3.png").unlink(missing_ok=True)
            super().lose(handle)

    with pytest.raises(DataError, match="share 1: its images have changed"):
        small().fit(
            tmp_path, skip_broken=True, spread=Spread(Late((moment, 1 if moment == "rows" else 0)), 2)
        )


def test_what_a_store_holds_starts_no_worker(good: list[Source], tmp_path: Path) -> None:
    executors, models = (Counting(), Counting()), []
    for executor in executors:
        model = small().fit(good, store=tmp_path / "store", spread=Spread(executor, 2))
        models.append(saved(model, tmp_path))
    assert len(executors[0].started) == 2
    assert not executors[1].started
    assert models[0] == models[1]


def test_pictures_that_are_nearly_black_are_told(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (64, 64), (9, 9, number)).save(tmp_path / f"{number}.png")
    for spread in (None, Spread(Counting(), 2)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            small().fit(tmp_path, spread=spread)
        assert any("highest value of all 3 pictures: 9 of 255" in str(one.message) for one in caught)


@pytest.fixture(scope="module")
def fitted() -> PNI:
    random = np.random.default_rng(1)
    return small().fit(random.integers(0, 256, (4, 64, 64, 3), np.uint8))


@pytest.mark.parametrize(("workers", "at_a_time"), [(1, 5), (3, 2), (50, 1)])
def test_maps_of_workers_are_those_of_this_process(
    workers: int, at_a_time: int, fitted: PNI, sources: list[Source], monkeypatch: Any
) -> None:
    monkeypatch.setattr(spreading, "SHARE", at_a_time)
    executor, told, found = Forgetful(("maps", 1)), [], []
    for spread in (None, Spread(executor, workers)):
        made = fitted.predict(
            iter(sources), skip_broken=True, spread=spread, progress=lambda *event: told.append(event)
        )
        said = [
            (one.name, one.score, one.p_value, one.anomaly_map.tobytes(), one.image.tobytes(), len(told))
            for one in made
        ]
        found.append((said, fitted.skipped_))
        told.clear()
    assert found[0] == found[1]
    assert [name for name, _ in found[0][1]] == [str(number) for number in BROKEN]
    assert len(executor.stopped) == len(executor.started) == min(workers, 12)
    assert executor.losses == (
        0 if workers == 50 else min(workers, 12)
    )  # twelve workers need no second round


def test_a_broken_picture_ends_the_scoring_and_the_workers(fitted: PNI, sources: list[Source]) -> None:
    executor, messages, before = Counting(), [], []
    for spread in (None, Spread(executor, 2)):
        made = fitted.predict(sources[1:], spread=spread)
        before += [next(made).name for _ in range(4)]
        with pytest.raises(DataError) as raised:
            next(made)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert before == ["1", "2", "3", "4"] * 2
    assert executor.stopped == executor.started
