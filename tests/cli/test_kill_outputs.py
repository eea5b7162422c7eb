"""The driver that kills commands, at a few of the operations of one; `make fuzz-kill` tries them all."""

import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).parents[2] / "fuzz" / "kill_outputs.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_synthesize_killed_at_some_of_its_file_operations(environment):
    done = subprocess.run(
        [sys.executable, DRIVER, "--command", "synthesize", "--every", "30", "--seed", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("synthesize: ")
    assert ", 0 FAILED; " in done.stdout
