"""A tiny category and one fitted model that the whole session shares; the command as a user calls it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pictures import make_category
from starts import Starter

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_category(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a category for reading only; `category` is a copy a test may change."""
    return make_category(tmp_path_factory.mktemp("data") / "plates")


@pytest.fixture
def category(shared_category: Path, tmp_path: Path) -> Path:
    return shutil.copytree(shared_category, tmp_path / "plates")


@pytest.fixture(scope="session")
def model_file(shared_category: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a `lite` model, fitted on the shared category by the command itself."""
    from pni_fast.cli.fit import fit_model

    target = tmp_path_factory.mktemp("model") / "plates.safetensors"
    fit_model(shared_category, target, device="cpu", threads=2, quiet=True)
    return target


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Return the environment of a subprocess that imports the package under test."""
    path = [str(ROOT / "python"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


@pytest.fixture
def run_command(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a call of `pni-fast` in its own process, as a user makes it."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pni_fast.cli", *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    return run


@pytest.fixture(scope="session")
def starter(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Return what starts Python with torch imported already, for tests of a process and not of how it starts.

    No hub is reached from there, and the helpers of the tests can be imported.
    """
    made = Starter(
        {
            **environment,
            "PYTHONPATH": os.pathsep.join((environment["PYTHONPATH"], str(ROOT / "tests"))),
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
        }
    )
    yield made
    made.close()


@pytest.fixture(scope="session")
def resnet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return weights of resnet18 that no hub was asked for: random, but the same in every session."""
    import safetensors.torch
    import timm
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = timm.create_model("resnet18").state_dict()
    target = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    needed = {name: value for name, value in state.items() if not name.startswith(("layer4", "fc"))}
    safetensors.torch.save_file(needed, target)
    return target


@pytest.fixture
def entries() -> Callable[[Path], list[str]]:
    """Return a listing of every path below a folder, hidden ones too: what a failure must leave unchanged."""

    def listed(folder: Path) -> list[str]:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))

    return listed
