"""The wheel and the source archive, built once, in the checkout's own cargo target folder: that is quick.

Once for all processes that run tests, in turn: maturin has one place for what it is about to pack,
and of two builds at once the first takes it away from the second.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]


def clean_environment() -> dict[str, str]:
    """Return the environment without anything that leads Python back to the checkout."""
    leads = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in leads}
    # The build backend calls `maturin` by name.
    kept["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), kept["PATH"]))
    return {**kept, "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))}


def run(*command: object, cwd: Path) -> str:
    """Run a command; return its standard output, or fail with all it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def run_outside() -> Callable[..., str]:
    """Return `run`."""
    return run


@pytest.fixture(scope="session")
def maturin() -> list[str]:
    """Return the command of maturin; without a Rust toolchain nothing can be packaged."""
    if shutil.which("cargo") is None:
        pytest.skip("needs cargo, the Rust toolchain")
    if importlib.util.find_spec("maturin") is None:
        pytest.skip("needs maturin: pip install maturin")
    return [sys.executable, "-m", "maturin"]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this run of the tests have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def one_build(shared: Path) -> FileLock:
    """Return the lock to hold while anything is built."""
    return FileLock(shared / "build.lock")


@pytest.fixture(scope="session")
def packed(
    maturin: list[str], shared: Path, one_build: FileLock, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Return a function that gives the one file which a command of maturin makes from the checkout."""

    def once(name: str, *arguments: str) -> Path:
        folder = shared / name
        with one_build:
            if not folder.is_dir():
                made = tmp_path_factory.mktemp(name)
                run(*maturin, *arguments, "--out", made, cwd=ROOT)
                made.rename(folder)
        (built,) = folder.iterdir()
        return built

    return once


@pytest.fixture(scope="session")
def wheel(packed: Callable[..., Path]) -> Path:
    """Return the wheel, built from the checkout."""
    return packed("wheel", "build", "--release")


@pytest.fixture(scope="session")
def sdist(packed: Callable[..., Path]) -> Path:
    """Return the source archive."""
    return packed("sdist", "sdist")


@dataclass(frozen=True)
class Installed:
    """A virtual environment that holds one wheel of the package and lies outside the checkout."""

    home: Path

    @property
    def scripts(self) -> Path:
        """Folder of the commands."""
        return self.home / ("Scripts" if os.name == "nt" else "bin")

    def python(self, code: str) -> str:
        """Run code in the environment, away from the checkout; return what it printed."""
        return run(self.scripts / "python", "-c", code, cwd=self.home)

    def command(self, *arguments: object) -> str:
        """Run the installed `pni-fast`; return what it printed."""
        return run(self.scripts / "pni-fast", *arguments, cwd=self.home)


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Installed]:
    """Return a function that installs a wheel into a new environment.

    The dependencies are those of the running environment, or of the folders given, lent by path entries. The
    running environment's own installation of the package hangs on a ``.pth`` file, which is not read
    there, or comes behind the wheel's.
    """

    def into_new(wheel: Path, folders: Sequence[Path] | None = None) -> Installed:
        home = tmp_path_factory.mktemp("venv")
        run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
        installed = Installed(home)
        pip = (
            sys.executable,
            "-m",
            "pip",
            "--python",
            installed.scripts / "python",
            "--disable-pip-version-check",
        )
        run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
        own = Path(installed.python("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        every = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        lent = every if folders is None else map(str, folders)
        (own / "dependencies.pth").write_text("\n".join(lent))
        return installed

    return into_new
