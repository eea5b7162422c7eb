"""Tiny images, a tiny category, and one fitted model that the whole session shares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

SIDE = 96
"""Side in pixels of the generated photographs."""


def texture(seed: int, *, defect: bool = False) -> Image.Image:
    """Draw a striped, noisy surface; with a bright square in its middle when defective."""
    random = np.random.default_rng(seed)
    stripes = 110 + 40 * np.sin(np.arange(SIDE) / 4 + random.uniform(0, 0.5))
    surface = np.clip(stripes[None, :, None] + random.normal(0, 6, (SIDE, SIDE, 3)), 0, 255)
    if defect:
        surface[36:60, 36:60] = (250, 40, 40)
    return Image.fromarray(surface.astype(np.uint8))


def defect_mask() -> Image.Image:
    """Return the exact mask of the defect that `texture` draws."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[36:60, 36:60] = 255
    return Image.fromarray(mask)


def make_category(root: Path) -> Path:
    """Write four good training images, two good and two defective test images, and the masks."""
    folders = [root / "train/good", root / "test/good", root / "test/stain", root / "ground_truth/stain"]
    for folder in folders:
        folder.mkdir(parents=True)
    train, good, stain, truth = folders
    for index in range(4):
        texture(index).save(train / f"{index:03}.png")
    for index in range(2):
        texture(10 + index).save(good / f"{index:03}.png")
        texture(20 + index, defect=True).save(stain / f"{index:03}.png")
        defect_mask().save(truth / f"{index:03}_mask.png")
    return root


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
