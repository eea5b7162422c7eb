"""Shards on Ray: the picks of one machine, also when workers are lost; what cannot work is one line."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pni_fast import distributed, kernels
from pni_fast.distributed import RayExecutor, greedy_coreset, ray_cluster, ray_executor
from pni_fast.errors import NotInstalledError, PniError
from pni_fast.model.spread import coordinator as spread

pytest.importorskip("ray", reason="Ray has no wheel for this Python or system")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One cluster for all tests here: each executor joins it and leaves it running."""
    import ray

    first = RayExecutor()
    yield
    first.close()
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Rows with ties and duplicates across shards."""
    random = np.random.default_rng(3)
    rows = random.integers(0, 6, (900, 5)).astype(np.float32)
    return np.concatenate([rows, rows[:100], random.standard_normal((500, 5)).astype(np.float32)])


def shards_of(points: np.ndarray, *ends: int) -> list[np.ndarray]:
    return np.split(points, ends)


class Losing(RayExecutor):
    """Kills one actor before some of its rounds, in the midst of what it was asked."""

    def __init__(self, *rounds: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.rounds, self.number = rounds, 0

    def run(self, calls: Any) -> list[Any]:
        self.number += 1
        if self.number in self.rounds:
            self._ray.kill(self._handles[self.number % len(self._handles)].remote)
        return super().run(calls)


@pytest.mark.usefixtures("cluster")
def test_picks_are_those_of_one_machine(points: np.ndarray) -> None:
    alone = kernels.greedy_coreset(points, 300, start=7)
    with RayExecutor(actors=3) as executor:
        found = greedy_coreset(shards_of(points, 1, 700), 300, start=7, executor=executor)
    np.testing.assert_array_equal(found.indices, alone.indices)
    np.testing.assert_array_equal(found.radii, alone.radii)


@pytest.mark.usefixtures("cluster")
def test_lost_workers_change_nothing(points: np.ndarray) -> None:
    alone = kernels.greedy_coreset(points, 300)
    rounds = np.random.default_rng(0).choice(np.arange(2, 20), 5, replace=False)
    with Losing(*rounds.tolist(), actors=2) as executor:
        found = greedy_coreset(shards_of(points, 600), 300, executor=executor)
        assert sum(handle.losses for handle in executor._handles) == 5
    np.testing.assert_array_equal(found.indices, alone.indices)
    np.testing.assert_array_equal(found.radii, alone.radii)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_is_lost_every_time_is_given_up() -> None:
    with Losing(3, actors=1) as executor:
        executor.start(Broken)
        executor._handles[0].losses = ray_executor.LOSSES
        with pytest.raises(PniError, match="worker 0 was lost 9 times"):
            executor.run([(executor._handles[0], "leave", ())])


class Broken:
    """An actor whose process ends when it is called."""

    def leave(self) -> None:
        import os

        os._exit(1)


@pytest.mark.usefixtures("cluster")
def test_an_error_of_a_shard_is_raised_as_it_is(points: np.ndarray) -> None:
    bad = points[:50].copy()
    bad[7, 2] = np.nan
    with RayExecutor(actors=2) as executor, pytest.raises(PniError, match=r"^shard 1: .*7"):
        greedy_coreset([points, bad], 10, executor=executor)


@pytest.mark.usefixtures("cluster")
def test_other_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with RayExecutor() as executor:
        executor.start(Broken)
        monkeypatch.setattr(ray_executor, "metadata", Older)
        with pytest.raises(PniError, match=rf"numpy of this one, 1\.0, got {re.escape(np.__version__)} on "):
            executor.run([(executor._handles[0], "leave", ())])


class Older:
    """Versions of packages as `importlib.metadata` has them, with an older NumPy; in this process alone."""

    PackageNotFoundError = metadata.PackageNotFoundError

    @staticmethod
    def version(package: str) -> str:
        return "1.0" if package == "numpy" else metadata.version(package)


@pytest.mark.usefixtures("cluster")
def test_more_gpus_than_there_are() -> None:
    with pytest.raises(PniError, match=r"2 workers of 4096 GPUs need 8192, the cluster has "):
        RayExecutor(actors=2, gpus=4096)


def test_addresses_that_answer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(PniError, match=r"nothing answers at 127\.0\.0\.1:9"):
        RayExecutor("127.0.0.1:9")
    with pytest.raises(PniError, match=r"must be auto or an address such as 10\.0\.0\.1:6379, got 'nowhere'"):
        RayExecutor("nowhere")


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'pni-fast\[ray\]'"):
        RayExecutor()


@pytest.mark.usefixtures("cluster")
def test_the_command_writes_what_it_writes_without(points: np.ndarray, tmp_path: Path, invoke: Any) -> None:
    np.save(tmp_path / "all.npy", points)
    for number, part in enumerate(shards_of(points, 400, 401)):
        np.save(tmp_path / f"part-{number}.npy", part)
    written = []
    for name, features in {"alone": "all.npy", "files": "part-*.npy", "ray": "part-*.npy"}.items():
        output = tmp_path / f"{name}.idx.npy"
        more = ["--ray", "auto"] if name == "ray" else []
        done = invoke("coreset", tmp_path / features, "--size", "0.1", "--output", output, *more)
        assert done.exit_code == 0, done.stderr
        written.append(output.read_bytes())
    assert "rounds" in done.stdout
    assert written[0] == written[1] == written[2]


@pytest.mark.usefixtures("cluster")
def test_a_fit_with_workers_that_are_lost_writes_the_model_of_one_process(
    invoke: Any, shared_category: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "SHARE", 1)
    monkeypatch.setattr(
        distributed, "RayExecutor", lambda address, **named: Losing(2, 9, address=address, **named)
    )
    output = tmp_path / "model.safetensors"
    plain = ("--device", "cpu", "--no-neighborhood", "--threads", 2)
    done = invoke("fit", shared_category, "-o", output, *plain, "--ray", "auto", "--workers", 2)
    assert done.exit_code == 0, done.stderr
    assert output.read_bytes() == model_file.read_bytes()


@pytest.mark.usefixtures("cluster")
def test_a_score_with_workers_that_are_lost_writes_what_one_process_writes(
    invoke: Any, shared_category: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "SHARE", 1)
    executors: list[Losing] = []

    def losing(address: str, **named: Any) -> Losing:
        executors.append(Losing(2, 3, address=address, **named))
        return executors[-1]

    monkeypatch.setattr(distributed, "RayExecutor", losing)
    (tmp_path / "inputs").mkdir()
    for number, image in enumerate(sorted(shared_category.rglob("*.png"))[:6]):
        (tmp_path / "inputs" / f"{number}.png").write_bytes(image.read_bytes() if number != 3 else b"none")
    written, said = [], []
    for more in ((), ("--ray", "auto", "--workers", 2)):
        output = tmp_path / "results"
        done = invoke(
            *("score", model_file, tmp_path / "inputs", "-o", output, "--maps", "--overlays", "--report"),
            *("--skip-broken", "--device", "cpu", "--json-lines", *more),
        )
        assert done.exit_code == 0, done.stderr
        written.append({file.name: file.read_bytes() for file in output.rglob("*") if file.is_file()})
        said.append(done.stdout)
        shutil.rmtree(output)
    assert len(written[0]) > 13
    assert written[0] == written[1]
    assert said[0] == said[1]
    assert executors[0].number >= 3


def test_workers_need_a_cluster(invoke: Any, shared_category: Path, model_file: Path, tmp_path: Path) -> None:
    for option in ("--workers", "--gpus-per-worker"):
        done = invoke("fit", shared_category, "-o", tmp_path / "m.safetensors", option, 2)
        assert done.exit_code == 2
        assert f"{option} needs a cluster: add --ray auto or --ray ADDRESS" in done.stderr
        done = invoke("score", model_file, shared_category, "-o", tmp_path / "results", option, 2)
        assert done.exit_code == 2
        assert f"{option} needs a cluster" in done.stderr
    assert not list(tmp_path.iterdir())


def test_auto_is_the_cluster_that_was_started_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert ray_cluster.started_here() == "local"
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"{address}\n")
        assert ray_cluster.started_here() == address
    assert ray_cluster.started_here() == "local"  # it is over
    monkeypatch.setenv("RAY_ADDRESS", address)  # what is named is not passed over in silence
    with pytest.raises(PniError, match=f"nothing answers at {address}"):
        ray_cluster.connect(None, ray_cluster.started_here())
