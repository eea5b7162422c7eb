from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest
from pni_fast import __version__

ROOT = Path(__file__).resolve().parents[2]
TOP = f"pni_fast-{__version__}"


@pytest.fixture(scope="module")
def names(sdist):
    with tarfile.open(sdist) as archive:
        return [member.name for member in archive.getmembers()]


def test_the_archive_holds_what_a_build_needs_once(names):
    assert len(names) == len(set(names))
    needed = {
        "pyproject.toml",
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "python/pni_fast/py.typed",
    }
    needed |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "rust").rglob("*.rs")}
    needed |= {f"python/pni_fast/cli/{path.name}" for path in (ROOT / "cli").glob("*.py")}
    assert {f"{TOP}/{name}" for name in needed} <= set(names)


def test_the_archive_holds_nothing_built(names):
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc")) or "/target/" in name]


def test_a_wheel_built_from_the_archive_works(sdist, install, tmp_path, run_outside, one_build):
    with one_build:
        run_outside(
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path / "built", sdist),
            cwd=tmp_path,
        )
    (wheel,) = (tmp_path / "built").iterdir()
    assert wheel.name.startswith(f"pni_fast-{__version__}-cp310-abi3-")
    installed = install(wheel)
    assert installed.command("--version").strip() == f"pni-fast {__version__}"
    assert (
        installed.python(
            "import pni_fast; print(pni_fast.nearest([[0.0]], [[2.0], [1.0]])[0].item())"
        ).strip()
        == "1"
    )
