from __future__ import annotations

import email
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pni_fast import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def installed(install, wheel):
    return install(wheel)


def test_one_wheel_serves_every_python_from_3_10_on(wheel):
    assert wheel.name.startswith(f"pni_fast-{__version__}-cp310-abi3-")


def test_the_wheel_holds_every_module_once(names):
    assert len(names) == len(set(names))
    package = ROOT / "python" / "pni_fast"
    expected = {f"pni_fast/{path.relative_to(package).as_posix()}" for path in package.rglob("*.py")}
    expected |= {f"pni_fast/cli/{path.name}" for path in (ROOT / "cli").glob("*.py")}
    found = {name for name in names if name.startswith("pni_fast/") and name.endswith(".py")}
    assert found == expected
    assert {"pni_fast/py.typed", "pni_fast/_core.pyi"} <= set(names)


def test_the_wheel_holds_one_compiled_module_and_nothing_else_at_the_top(names):
    compiled = [name for name in names if re.fullmatch(r"pni_fast/_core(\.abi3)?\.(so|pyd)", name)]
    assert len(compiled) == 1
    assert {name.split("/")[0] for name in names} == {"pni_fast", f"pni_fast-{__version__}.dist-info"}


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = f"pni_fast-{__version__}.dist-info"
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        assert "pni-fast=pni_fast.cli:main" in archive.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert metadata["Name"] == "pni-fast"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"].startswith("text/markdown")


def test_the_command_runs_outside_the_checkout(installed):
    assert installed.command("--version").strip() == f"pni-fast {__version__}"
    where = installed.python("import pni_fast, pni_fast.cli; print(pni_fast.__file__, pni_fast.cli.__file__)")
    assert all(path.startswith(str(installed.home)) for path in where.split())


def test_the_core_works_outside_the_checkout(installed):
    np.save(installed.home / "features.npy", np.arange(20, dtype=np.float32).reshape(10, 2) ** 2)
    installed.command("coreset", "features.npy", "--size", "3", "--output", "indices.npy")
    assert np.load(installed.home / "indices.npy").tolist() == [0, 9, 6]


def test_types_are_found_by_the_installed_marker(installed):
    listed = installed.python(
        "from importlib.resources import files; print(files('pni_fast').joinpath('py.typed').is_file())"
    )
    assert listed.strip() == "True"
