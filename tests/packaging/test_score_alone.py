"""The environment of `requirements/score.txt`: the wheel, what scoring takes, and nothing else."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pictures import texture
from pni_fast import PNI

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[2]

ENGINES = ("openvino", "onnxruntime")

LARGEST = 350 << 20
"""Bytes the whole environment may take, beside Python itself."""

ABSENT = ("torch", "torchvision", "timm", "skimage", "sklearn", "scipy", "matplotlib")


def requirements() -> list[Requirement]:
    lines = (ROOT / "requirements" / "score.txt").read_text().splitlines()
    return [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


def needed(name: str, seen: set[str]) -> Iterator[metadata.Distribution]:
    """Yield what is installed under a name, and all it depends on."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen.add(key)
    found = metadata.distribution(name)
    yield found
    for line in found.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from needed(requirement.name, seen)


@pytest.fixture(scope="module")
def lent(tmp_path_factory):
    """Return a folder with links to the packages of score.txt, as the running environment has them."""
    folder, seen = tmp_path_factory.mktemp("lent"), set()
    for requirement in requirements():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            distributions = list(needed(requirement.name, seen))
        except metadata.PackageNotFoundError as error:
            pytest.skip(f"needs {error.name}, of requirements/score.txt")
        for distribution in distributions:
            for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
                target = folder / top
                if not target.exists() and top != "__pycache__":
                    target.symlink_to(distribution.locate_file(top))
    return folder


@pytest.fixture(scope="module")
def bare(install, wheel, lent):
    return install(wheel, [lent])


@pytest.fixture(scope="module")
def model_and_photo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("belt")
    settings = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "device": "cpu", "num_threads": 2}
    PNI(**settings).fit([texture(seed) for seed in range(3)]).save(folder / "model.safetensors")
    texture(50, defect=True).save(folder / "photo.png")
    return folder / "model.safetensors", folder / "photo.png"


def test_the_bounds_are_those_of_the_package():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    whole = {found.name: found for found in map(Requirement, project["dependencies"])}
    for requirement in requirements():
        if requirement.name in whole or requirement.name not in ENGINES:
            expected = whole[requirement.name]
            assert requirement.specifier == expected.specifier
            assert str(requirement.marker) == str(expected.marker)


def test_it_is_small(lent):
    size = sum(
        file.stat().st_size
        for top in lent.iterdir()
        for file in (top.rglob("*") if top.is_dir() else [top])
        if file.is_file() and file.suffix != ".pyc"
    )
    assert size <= LARGEST


def test_nothing_else_is_there(bare):
    found = bare.python(
        f"from importlib.util import find_spec; print([name for name in {ABSENT} if find_spec(name)])"
    )
    assert found.strip() == "[]"


def test_a_model_is_described_and_what_needs_more_says_so(bare, model_and_photo):
    model, _ = model_and_photo
    assert "lite" in bare.command("info", model)
    assert "simd" in bare.command("info")
    code = "from pni_fast import PNI, PniError\ntry: PNI().fit([])\nexcept PniError as error: print(error)"
    assert "fit needs PyTorch, which is not installed here" in bare.python(code)


def test_it_gives_the_scores_of_the_whole_environment(bare, model_and_photo, tmp_path):
    model, photo = model_and_photo
    bare.command("score", model, photo, "-o", tmp_path / "out", "--overlays", "--maps")
    (expected,) = PNI.load(model, device="cpu").predict([photo])
    verdict = "defective" if expected.is_defective else "good"
    row = f"photo.png,{expected.score:.9g},{expected.p_value:.6g},{verdict}"
    assert (tmp_path / "out" / "scores.csv").read_text().splitlines() == ["image,score,p_value,verdict", row]
    assert (tmp_path / "out" / "overlays" / "photo.png").is_file()
