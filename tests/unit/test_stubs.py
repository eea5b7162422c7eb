"""The stub of the compiled module tells the truth, as far as mypy's stubtest can see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pni_fast
import pytest


def test_stub_matches_the_compiled_module() -> None:
    pytest.importorskip("mypy")
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "pni_fast._core"],
        cwd=Path(pni_fast.__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
