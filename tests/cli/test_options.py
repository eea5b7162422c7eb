from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = (
    "fit",
    "threshold",
    "update",
    "compare",
    "score",
    "evaluate",
    "coreset",
    "synthesize",
    "benchmark",
    "info",
    "demo",
)


def test_help_lists_every_command(invoke):
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(invoke, name):
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: pni-fast {name} ")


def test_version(run_command):
    result = run_command("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("pni-fast ")


def test_help_imports_neither_torch_nor_numpy(environment):
    code = (
        "import sys; from pni_fast.cli.application import application\n"
        "application(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'timm', 'numpy', 'matplotlib', 'skimage', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown"], "No such command"),
        (["fit"], "Missing argument 'DATA'"),
        (["fit", "photos"], "Missing option '--output'"),
        (["fit", "photos", "-o", "m", "--preset", "large"], "'large' is not one of 'lite', 'best', 'paper'"),
        (["fit", "photos", "-o", "m", "--device", "tpu"], "'tpu' is not one of"),
        (["fit", "photos", "-o", "m", "--coreset-ratio", "0"], "0<x<=1"),
        (["fit", "photos", "-o", "m", "--coreset-ratio", "1.5"], "0<x<=1"),
        (["fit", "photos", "-o", "m", "--threads", "0"], "x>=1"),
        (["fit", "photos", "-o", "m", "--seed", "-1"], "x>=0"),
        (["score", "m.safetensors", "-o", "out"], "Missing argument 'INPUT...'"),
        (
            ["coreset", "f.npy", "--size", "many", "-o", "i.npy"],
            "a count such as 500 or a share such as 0.01",
        ),
        (["coreset", "f.npy", "--size", "0", "-o", "i.npy"], "a count must be at least 1, got 0"),
        (["coreset", "f.npy", "--size", "1.5", "-o", "i.npy"], "above 0 and at most 1, got 1.5"),
        (["coreset", "f.npy", "--size", "nan", "-o", "i.npy"], "above 0 and at most 1, got nan"),
    ],
)
def test_wrong_usage_exits_with_2(invoke, arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
