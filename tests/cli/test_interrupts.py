from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from pni_fast.cli import interrupts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")

# Presses Ctrl-C at the moment a module is first imported, a moment that waiting would not hit twice.
TRAP = """
import os, signal, sys

module = sys.argv.pop(1)

class Trap:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Trap())
from pni_fast.cli import main
main()
"""


def assert_aborted(returncode, stdout, stderr):
    lines = stderr.splitlines()
    assert (returncode, lines[-1:]) == (1, ["Aborted!"]), (returncode, stdout, stderr)
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    assert stdout == ""


# The first module that NumPy loads behind its own name; NumPy 1 has it under another.
INSIDE_NUMPY = (
    "numpy._core.multiarray" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core.multiarray"
)


@pytest.mark.parametrize("module", ["click", "numpy", INSIDE_NUMPY, "torch", "torch.nn", "timm"])
def test_ctrl_c_while_modules_load(environment, category, tmp_path, entries, module):
    before = entries(tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            TRAP,
            module,
            "fit",
            str(category),
            "-o",
            str(tmp_path / "model"),
            "--device",
            "cpu",
            "--engine",
            "torch",  # or a fit imports neither that nor timm
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert_aborted(done.returncode, done.stdout, done.stderr)
    assert entries(tmp_path) == before


def interrupt_at(starter, arguments, marker, delay=0.0):
    """Start the command, press Ctrl-C `delay` seconds after `marker` appears, and wait for its end."""
    process = starter.start("-m", "pni_fast.cli", *arguments)
    seen = []
    hung = threading.Timer(120, process.kill)
    hung.start()
    try:
        for line in process.stderr:
            seen.append(line)
            if marker in line:
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                break
        output, rest = process.communicate()
        return process.returncode, output, "".join(seen) + rest
    finally:
        hung.cancel()


@pytest.mark.parametrize(
    ("stage", "ratio"), [("features", 0.01), ("coreset", 0.5), ("conditions", 0.01), ("neighborhood", 0.01)]
)
def test_ctrl_c_in_each_stage_of_fit(starter, category, tmp_path, entries, stage, ratio):
    before = entries(tmp_path)
    arguments = ("fit", category, "-o", tmp_path / "model", "--device", "cpu", "--coreset-ratio", ratio)
    arguments += ("--set", "neighborhood=yes")
    assert_aborted(*interrupt_at(starter, arguments, stage))
    assert entries(tmp_path) == before


def test_ctrl_c_while_scoring_leaves_no_results(starter, model_file, category, tmp_path, entries):
    good = category / "test" / "good"
    for index in range(2, 40):
        (good / f"{index:03}.png").write_bytes((good / "000.png").read_bytes())
    before = entries(tmp_path)
    arguments = ("score", model_file, good, "-o", tmp_path / "out", "--maps", "--overlays", "--device", "cpu")
    assert_aborted(*interrupt_at(starter, arguments, "to do"))
    assert entries(tmp_path) == before


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.5])
def test_ctrl_c_inside_the_kernel(starter, tmp_path, entries, delay):
    np.save(tmp_path / "features.npy", np.random.default_rng(0).normal(size=(60_000, 128)).astype(np.float32))
    arguments = ("coreset", tmp_path / "features.npy", "--size", "0.5", "-o", tmp_path / "indices.npy")
    assert_aborted(*interrupt_at(starter, arguments, "coreset", delay))
    assert entries(tmp_path) == ["features.npy"]


@pytest.mark.parametrize(
    ("handler", "error"), [(interrupts._interrupt, KeyboardInterrupt), (interrupts._terminate, SystemExit)]
)
@pytest.mark.parametrize("moment", ["__enter__", "__exit__"])
def test_no_lock_stays_taken(handler, error, moment, monkeypatch):
    for name in ("_seen", "_terminated"):
        monkeypatch.setattr(interrupts, name, False)
    taken = []

    class Lock:
        """A lock, at which the signal arrives as soon as it is taken or before it is given back."""

        acquire = release = None

        def __enter__(self):
            taken.append(self)
            if moment == "__enter__":
                signal.raise_signal(signal.SIGINT)

        def __exit__(self, *error):
            if moment == "__exit__":
                signal.raise_signal(signal.SIGINT)
            taken.remove(self)

    def wait(condition):
        with condition:
            pass
        time.sleep(10)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(error):
            wait(threading.Condition(Lock()))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not taken
