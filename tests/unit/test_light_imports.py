"""Which modules bring torch and the like as soon as they are imported, and that scoring is none of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from pni_fast.runtime.device import _driver_is_there

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "pni_fast"

HEAVY = {"torch", "torchvision", "timm", "sklearn", "scipy", "skimage", "matplotlib"}

TORCH = {
    "anomalib",
    "distribution.neighborhood.network",
    "distribution.neighborhood.rows",
    "distribution.neighborhood.training",
    "distribution.neighborhood.validation",
    "features.backbones",
    "features.families",
    "features.engines.arithmetic",
    "features.engines.call",
    "features.engines.export",
    "features.engines.recording",
    "features.extractor",
    "features.weights",
    "refinement.checkpoint",
    "refinement.examples",
    "refinement.loss",
    "refinement.network",
    "refinement.train",
    "runtime.compiling",
}
"""Modules that are about networks or their training, and may import torch at their top."""

LIGHT = [
    "cli.application",
    "cli.compare",
    "cli.coreset",
    "cli.info",
    "cli.score",
    "cli.scoring",
    "cli.threshold",
    "cli.update",
    "data",
    "decision",
    "features.stored",
    "kernels",
    "model.file",
    "model.pni",
    "model.prediction",
    "model.shared_refiner",
    "model.update",
    "report.compared",
    "report.heatmap",
    "report.production",
    "runtime.run",
    "scoring.scorer",
]
"""What the machine at the belt imports: nothing heavy, nor any module that brings it."""


def modules():
    # The commands lie behind a link.
    for path in sorted({*PACKAGE.rglob("*.py"), *(PACKAGE / "cli").glob("*.py")}):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__").removesuffix("__init__"), path


FILES = dict(modules())


def at_import(body):
    """Yield the statements that run when a module is imported, those for type checkers left out."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If):
            checked = ast.unparse(node.test)
            yield from at_import(
                node.orelse if checked.endswith("TYPE_CHECKING") else node.body + node.orelse
            )
        elif isinstance(node, (ast.Try, ast.With, ast.ClassDef)):
            yield from at_import(node.body)
            yield from at_import(getattr(node, "orelse", []))


@cache
def imported(name):
    """Return what a module imports as it is imported: our modules by their names, others by their first."""
    own, others = set(), set()
    here = name.split(".") if FILES[name].name == "__init__.py" else name.split(".")[:-1]
    here = [part for part in here if part]
    for node in at_import(ast.parse(FILES[name].read_text()).body):
        if isinstance(node, ast.Import):
            targets = [(alias.name, None) for alias in node.names]
        else:
            base = ".".join(["pni_fast", *here[: len(here) - node.level + 1]]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            targets = [(source, alias.name) for alias in node.names]
        for source, member in targets:
            if source.split(".")[0] != "pni_fast":
                others.add(source.split(".")[0])
                continue
            inner = source.removeprefix("pni_fast").removeprefix(".")
            whole = f"{inner}.{member}".removeprefix(".")
            target = whole if whole in FILES else inner
            parts = target.split(".")
            own |= {".".join(parts[:count]) for count in range(len(parts) + 1)} & set(FILES)
    return own - {name}, others


def brought(name):
    """Return, for everything heavy that comes with a module, the way it comes."""
    ways, left = {name: [name]}, [name]
    found = {}
    while left:
        module = left.pop()
        own, others = imported(module)
        found.update({heavy: ways[module] for heavy in others & HEAVY if heavy not in found})
        for other in own - set(ways):
            ways[other] = [*ways[module], other]
            left.append(other)
    return found


def test_torch_is_imported_at_the_top_where_networks_are():
    assert {name for name in FILES if imported(name)[1] & {"torch", "timm", "torchvision"}} == TORCH


@pytest.mark.parametrize("name", LIGHT)
def test_what_scores_brings_nothing_heavy(name):
    assert brought(name) == {}


def test_the_test_sees_what_comes_by_a_way_round():
    assert brought("model.exported_graph")["torch"]
    assert brought("model.pni") == {}


BELT = """
import sys
HEAVY = {heavy!r}
if {blocked!r}:
    sys.modules.update(dict.fromkeys(("torch", "torchvision", "timm", "skimage")))  # as if not installed
import numpy as np
from pni_fast.cli.application import application

def call(*arguments):
    try:
        application([str(argument) for argument in arguments], standalone_mode=False, prog_name="pni-fast")
    except Exception as error:
        message = getattr(error, "message", None) or error
        print("refused:", type(error).__name__, message)
    heavy = {{name for name in HEAVY if sys.modules.get(name) is not None}}
    assert not heavy, (arguments, heavy)

"""

SCORES = """
graph, plain, photo, out = sys.argv[1:]
call("--help")
call("info")
call("info", graph)
np.save(out + ".npy", np.arange(20, dtype=np.float32).reshape(10, 2) ** 2)
call("coreset", out + ".npy", "--size", "3", "-o", out + ".indices.npy")
call("score", graph, photo, "-o", out, "--maps", "--overlays", "--report")
call("threshold", graph, "--false-alarms", "0.3", "-o", out + ".other")
call("compare", graph, out + ".other", photo, "-o", out + "-compared")
call("update", graph, photo, "-o", out + ".more")
import pni_fast
assert list(pni_fast.PNI.load(graph).predict(photo))[0].anomaly_map.shape == (512, 512)
(alike,) = pni_fast.PNI.load(graph).alike(photo)
assert alike == (), alike
"""

WITHOUT = """
call("info", plain)
call("score", plain, photo, "-o", out + "-plain")
call("fit", photo, "-o", out + ".model")
call("refine", photo, "--models", plain, "-o", out + "-refined")
call("benchmark", photo, "--dataset", "folder", "-o", out + "-tables")
call("demo", "-o", out + "-demo")
call("score", graph, photo, "-o", out + "-cuda", "--device", "cuda")
"""


@pytest.fixture(scope="module")
def plain_file(model_file, tmp_path_factory):
    """Return a model without a graph of its extractor, as older versions wrote them."""
    from pni_fast import PNI

    model = PNI.load(model_file, device="cpu")
    model.fitted.extractor.graph = None
    file = tmp_path_factory.mktemp("plain") / "model.safetensors"
    model.save(file)
    return file


def test_tensors_of_another_network_are_told_when_torch_runs_it(model_file):
    from pni_fast import PNI, ModelFileError

    stored = PNI.load(model_file, device="cpu").fitted.extractor
    del stored._tensors["conv_stem.weight"]
    with pytest.raises(ModelFileError, match=r"do not make the network it names: .*conv_stem\.weight"):
        stored.module()


def run(environment, code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(_driver_is_there(), reason="torch is asked what the GPU is")
def test_the_belt_imports_nothing_heavy(environment, model_file, plain_file, category, tmp_path):
    photo = category / "test" / "stain" / "000.png"
    code = BELT.format(heavy=HEAVY, blocked=False) + SCORES
    found = run(environment, code, model_file, plain_file, photo, tmp_path / "out")
    assert "refused" not in found
    assert (tmp_path / "out" / "scores.csv").read_text().count("\n") == 2
    assert (tmp_path / "out" / "regions.csv").read_text().count("\n") > 1, "it is outlined"


def test_without_torch_the_belt_scores_and_the_rest_says_so(
    environment, model_file, plain_file, category, tmp_path
):
    photo = category / "test" / "stain" / "000.png"
    code = BELT.format(heavy=HEAVY, blocked=True) + SCORES + WITHOUT
    found = run(environment, code, model_file, plain_file, photo, tmp_path / "out")
    refused = [line for line in found.splitlines() if line.startswith("refused")]
    assert len(refused) == 6, found
    whats = [
        "scoring with a model that holds no graph",
        "pni-fast fit",
        "pni-fast refine",
        "pni-fast benchmark",
    ]
    for line, what in zip(refused, [*whats, "pni-fast demo", "device 'cuda'"], strict=True):
        assert what in line
        assert "needs PyTorch, which is not installed here; install all" in line


def test_every_name_can_be_imported_without_torch(environment):
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'timm')))\n"
        "from pni_fast import *\n"
        "import pni_fast\n"
        "try:\n"
        "    pni_fast.refine(['a'], ['b'])\n"
        "except pni_fast.errors.NotInstalledError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("refine needs PyTorch, which is not installed here; ")
