import functools
import shutil
import warnings

import numpy as np
import pytest
import torch
from pni_fast.distribution.distribution import Distribution
from pni_fast.distribution.neighborhood.network import NeighborhoodMLP
from pni_fast.distribution.neighborhood.training import train_neighborhood, training_work
from pni_fast.errors import PniError
from pni_fast.presets import MLPConfig
from pni_fast.runtime import compiling
from pni_fast.runtime.compiling import LONG, Compiled, compiles
from pni_fast.runtime.device import Device
from pni_fast.runtime.run import Run
from pni_fast.scoring.rules import BothRule
from pni_fast.scoring.scorer import Scorer

CPU, GPU = torch.device("cpu"), torch.device("cuda")
TINY = MLPConfig(layers=3, width=8, epochs=1, step=1, batch=64)


@pytest.fixture
def problem():
    random = np.random.default_rng(0)
    features = random.standard_normal((4, 7, 5, 4)).astype(np.float32)
    return features, random.integers(0, 6, (4, 7, 5))


def trained(problem, **changes):
    return train_neighborhood(*problem, 6, 3, TINY, Run(), seed=0, **changes).state_dict()


@pytest.fixture
def traced(monkeypatch):
    """Make torch.compile trace and differentiate but generate no code; return what it was given."""
    given = []

    def compile_without_code(function):
        given.append(function)
        return plain(function, backend="aot_eager")

    plain = torch.compile
    monkeypatch.setattr(torch, "compile", compile_without_code)
    return given


def test_only_a_long_training_on_a_gpu_is_compiled(monkeypatch):
    monkeypatch.delenv("PNI_FAST_COMPILE", raising=False)
    assert compiles(GPU, LONG)
    assert not compiles(GPU, LONG / 2)
    assert not compiles(GPU)
    assert not compiles(CPU, 100 * LONG)
    with torch.device("meta"):
        model = NeighborhoodMLP(1024, 2048, 9, MLPConfig())
    assert training_work(model, 200 * 3600 * 15) == pytest.approx(13.3e15, rel=0.01)


@pytest.mark.parametrize(("wish", "expected"), [("on", True), ("off", False)])
def test_the_environment_decides(monkeypatch, wish, expected):
    monkeypatch.setenv("PNI_FAST_COMPILE", wish)
    assert compiles(CPU) is compiles(GPU, LONG) is expected


def test_an_unknown_wish_is_refused(monkeypatch):
    monkeypatch.setenv("PNI_FAST_COMPILE", "yes")
    with pytest.raises(PniError, match="PNI_FAST_COMPILE must be auto, on or off, got 'yes'"):
        compiles(CPU)


@pytest.mark.filterwarnings("ignore")
def test_compiled_training_is_the_plain_one_to_rounding(problem, traced, monkeypatch):
    plain = trained(problem)
    assert not traced
    monkeypatch.setenv("PNI_FAST_COMPILE", "on")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="torch.compile failed")
        compiled = trained(problem)
    assert len(traced) == 1
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("late", [False, True], ids=["forward", "backward"])
def test_without_a_compiler_training_goes_on_with_one_warning(problem, monkeypatch, late):
    """A compiler may be missed when the function is first called, or when its gradient is asked for."""
    plain = trained(problem)

    class Late(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, loss):
            return loss.clone()

        @staticmethod
        def backward(_ctx, _gradient):
            raise RuntimeError("no working compiler\nand much more")

    def no_compiler(function):
        def called(*arguments):
            if late:
                return Late.apply(function(*arguments))
            raise RuntimeError("no working compiler\nand much more")

        return functools.wraps(function)(called)

    monkeypatch.setattr(torch, "compile", no_compiler)
    monkeypatch.setenv("PNI_FAST_COMPILE", "on")
    with pytest.warns(RuntimeWarning, match="torch.compile failed") as caught:
        state = trained(problem)
    (warning,) = caught
    assert "(no working compiler); PNI_FAST_COMPILE=off" in str(warning.message)
    for name, value in plain.items():
        if "running" in name or "num_batches" in name:  # the attempt may have seen the first batch once more
            continue
        assert torch.equal(state[name], value), name


def test_an_error_that_is_not_the_compilers_comes_out(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    calls = Compiled(lambda inner, value: inner(value), lambda value: 1 / value)
    assert calls(2) == 0.5
    with pytest.warns(RuntimeWarning, match="torch.compile failed"), pytest.raises(ZeroDivisionError):
        calls(0)
    assert calls(4) == 0.25
    assert not compiling._COMPILER.locked()


@pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler for inductor"
)
@pytest.mark.filterwarnings("ignore")
def test_compiled_scoring_allows_the_same_classes(problem, monkeypatch):
    """The whole compiler, code generator too: convolution, softmax, threshold and packing by shifts."""
    features, _ = problem
    torch.manual_seed(0)
    model = NeighborhoodMLP(4, 6, 3, TINY).eval().requires_grad_(False)
    position = np.random.default_rng(1).dirichlet(np.full(6, 0.2), 35).astype(np.float32)
    coreset = np.zeros((7, 1), np.float32)  # so that τ is 1/14
    distribution = Distribution(coreset, np.arange(7) % 6, 6, position.reshape(7, 5, 6), None)
    maps = torch.from_numpy(features)

    # Rules work on tensors where a GPU has them.
    monkeypatch.setattr("pni_fast.scoring.rules.both.on_device", lambda value, _: value)

    def allowed():
        scorer = Scorer(None, model, BothRule(distribution, Device("cuda")), None)
        return [part.numpy() for part in scorer.conditions(maps)]

    plain = allowed()
    monkeypatch.setenv("PNI_FAST_COMPILE", "on")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="torch.compile failed")
        compiled = allowed()
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_array_equal(one, other)
