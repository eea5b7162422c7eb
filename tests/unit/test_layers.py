"""The contract of layers holds, and a wrong import breaks it: the check can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytest.importorskip("importlinter")


def contract(package_root):
    """Run the contract of pyproject.toml on the package below a folder; return status and output."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--config",
        str(ROOT / "pyproject.toml"),
        "--no-cache",
    ]
    environment = {**os.environ, "PYTHONPATH": str(package_root), "NO_COLOR": "1", "COLUMNS": "200"}
    found = subprocess.run(
        command, cwd=package_root, env=environment, capture_output=True, text=True, check=False
    )
    return found.returncode, found.stdout + found.stderr


@pytest.fixture
def package(tmp_path):
    """Return a copy of the package's sources to break."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(ROOT / "python" / "pni_fast", tmp_path / "pni_fast", ignore=ignored)
    return tmp_path


def test_the_contract_is_kept(package):
    status, output = contract(package)
    assert status == 0, output


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("scoring/anomaly_map.py", "from pni_fast.model.pni import PNI", "Data flows one way"),
        ("distribution/left_out.py", "from pni_fast.scoring.scorer import Scorer", "Data flows one way"),
        ("config/mlp.py", "import numpy", "Settings cost what a dataclass costs"),
        ("kernels/search.py", "import torch", "Kernels need NumPy alone"),
        ("config/checks.py", "from .model import Config", "No circles, in any room"),
        ("new_room.py", "", "pni_fast.new_room"),
    ],
)
def test_a_wrong_import_breaks_it(package, file, line, broken):
    path = package / "pni_fast" / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    status, output = contract(package)
    assert status != 0
    assert broken in output
