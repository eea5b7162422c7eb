"""Engines: all give what torch gives, on the calling thread, the same for any number of threads."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from pni_fast.config.choices import ENGINES
from pni_fast.errors import ModelFileError, PniError
from pni_fast.features.backbones import build_extractor
from pni_fast.features.engines import choose, openvino_engine
from pni_fast.features.engines.agreement import Agreement, agreement
from pni_fast.features.engines.choose import choose_engine, open_engine
from pni_fast.features.engines.export import extractor_graph, state_arrays
from pni_fast.features.engines.networks import extractor_ends, whole_model
from pni_fast.features.engines.onnxruntime_engine import ONNXRuntimeEngine
from pni_fast.features.families import without_values
from pni_fast.features.stored import TorchExtraction
from pni_fast.runtime.run import Run

GRAPHS = ("openvino", "onnxruntime")


def random_extractor(name, dimension):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        extractor = build_extractor(name, 3, dimension)
        for module in extractor.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    return extractor


def model_of(extractor, height, width, grid):
    graph = extractor_graph(extractor, height, width)
    tensors = state_arrays(extractor.backbone, "backbone.")
    return whole_model(graph, tensors, *extractor_ends((height, width), (*grid, extractor.dimension)))


def by_torch(extractor):
    return TorchExtraction(extractor, Run())


def crops(count, height=64, width=96):
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def extractor():
    return random_extractor("test_efficientnet.r160_in1k", 1024)


@pytest.fixture(scope="module")
def model(extractor):
    return model_of(extractor, 64, 96, (8, 12))


@pytest.mark.parametrize(
    ("name", "shape", "levels", "grid"),
    [
        ("test_vit2", (64, 96), (1, 3), (4, 6)),  # with a register
        ("maxvit_rmlp_pico_rw_256", (64, 32), (), (8, 4)),
        ("vit_small_patch16_dinov3", (32, 48), (0, 1), (2, 3)),
        ("eva02_tiny_patch14_224", (28, 42), (0,), (2, 3)),
    ],
)
def test_engines_agree_on_networks_made_for_a_size(name, shape, levels, grid):
    with without_values():
        extractor = build_extractor(name, 1, 4096, shape, levels)
    generator = torch.Generator().manual_seed(0)
    for key, value in extractor.backbone.state_dict().items():
        if value.is_floating_point():
            value.normal_(0.0, 0.1, generator=generator)
            if key.endswith("running_var"):
                value.abs_().add_(0.1)
    content = model_of(extractor, *shape, grid)
    for engine in GRAPHS:
        found = agreement(open_engine(engine, content), by_torch(extractor), crops(2, *shape))
        assert found.holds, (engine, found)
        assert found.largest < 1e-5


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("tf_efficientnet_lite0", 1024),
        ("resnet18", 100),
        ("test_convnext.r160_in1k", 1024),
        ("test_resnet.r160_in1k", 50),
    ],
)
def test_every_engine_agrees_with_torch(name, dimension):
    extractor = random_extractor(name, dimension)
    content = model_of(extractor, 64, 64, (8, 8))
    for engine in GRAPHS:
        found = agreement(open_engine(engine, content), by_torch(extractor), crops(2, 64, 64))
        assert found.holds, (engine, found)
        assert found.largest < 1e-5


def test_an_engine_that_gives_something_else_does_not_agree(extractor, model):
    engine = open_engine("openvino", model)
    half = agreement(lambda given: engine(given) * np.float32(1.001), by_torch(extractor), crops(1))
    assert not half.holds
    assert half.norm == pytest.approx(1e-3, rel=0.01)
    assert not Agreement(float("nan"), 0).holds
    assert not agreement(lambda given: engine(given) * np.nan, by_torch(extractor), crops(1)).holds


@pytest.mark.parametrize("name", GRAPHS)
def test_bits_depend_neither_on_threads_nor_on_the_batch(model, name):
    images = crops(8)
    alone = open_engine(name, model)
    expected = alone(images)
    assert expected.dtype == np.float32
    together = open_engine(name, model, threads=3)
    with ThreadPoolExecutor(5) as pool:  # more callers than places
        for _ in range(3):
            found = np.concatenate(list(pool.map(together, images[:, None])))
            assert found.tobytes() == expected.tobytes()


def test_one_copy_for_all_gives_the_same_bits(model, monkeypatch):
    images = crops(4)
    expected = open_engine("openvino", model, threads=2)(images)
    monkeypatch.setattr(openvino_engine, "MOST_COPIES", 0)
    shared = open_engine("openvino", model, threads=2)
    with ThreadPoolExecutor(3) as pool:
        found = np.concatenate(list(pool.map(shared, images[:, None])))
    assert found.tobytes() == expected.tobytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", GRAPHS)
def test_the_calling_thread_computes_and_nobody_beside_it(model, name):
    engine, image = open_engine(name, model), crops(1)
    engine(image)
    own, all_of_them = time.thread_time(), time.process_time()
    for _ in range(50):
        engine(image)
    own, all_of_them = time.thread_time() - own, time.process_time() - all_of_them
    assert own > 0.7 * all_of_them - 0.02


def test_results_are_the_callers_own(model):
    engine = open_engine("openvino", model)
    first = engine(crops(1))
    kept = first.copy()
    engine(crops(2))
    assert (first == kept).all()


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("given", [crops(1, 64, 64), crops(1).astype(np.float32), crops(1)[0]])
def test_crops_of_another_kind(model, name, given):
    with pytest.raises(ValueError, match="uint8"):
        open_engine(name, model)(given)


def test_crops_need_not_be_contiguous(model):
    image = crops(1)
    turned = np.asfortranarray(image)
    assert (open_engine("openvino", model)(turned) == open_engine("onnxruntime", model)(image)).mean() >= 0
    assert open_engine("openvino", model)(turned).tobytes() == open_engine("openvino", model)(image).tobytes()


FORKED = """
import os, signal, sys, numpy as np
from pni_fast.features.engines import openvino_engine
openvino_engine.MOST_COPIES = int(sys.argv[2])
engine = openvino_engine.OpenVINOEngine(open(sys.argv[1], "rb").read(), threads=2)
image = np.zeros((1, 64, 96, 3), np.uint8)
expected = engine(image)
if not (child := os.fork()):
    signal.alarm(60)
    os._exit(0 if (engine(image) == expected).all() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("most", [0, 1 << 30])
def test_a_fork_goes_on(model, tmp_path, environment, most):
    file = tmp_path / "model.onnx"
    file.write_bytes(model)
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(file), str(most)]
    assert subprocess.run(command, env=environment, check=False, timeout=120).returncode == 0


SIGNALLED = """
import os, signal, sys, threading, time
from pni_fast.features.engines.choose import open_engine

engines = [open_engine(sys.argv[2], open(sys.argv[1], "rb").read())]
gone = threading.Thread(target=engines.clear)
gone.start()
gone.join()
seen = []
signal.signal(signal.SIGTERM, lambda *_: seen.append(True))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0)
assert seen
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("name", GRAPHS)
def test_signals_are_taken_after_an_engine_went_on_another_thread(model, tmp_path, environment, name):
    file = tmp_path / "model.onnx"
    file.write_bytes(model)
    command = [sys.executable, "-W", "ignore", "-c", SIGNALLED, str(file), name]
    assert subprocess.run(command, env=environment, check=False, timeout=120).returncode == 0


def test_torch_is_an_engine_too(extractor):
    engine = by_torch(extractor)
    image = crops(2)
    with torch.inference_mode():
        assert engine(image).tobytes() == extractor(torch.from_numpy(image)).numpy().tobytes()
    assert engine.name == "torch"


REPORTING = """
import os, sys, types

seen = []
mine = ("socket.", "urllib.", "http.", "os.fork", "os.posix_spawn", "subprocess.")
sys.addaudithook(lambda event, arguments: seen.append(event) if event.startswith(mine) else None)
from pni_fast.features.engines import openvino_engine

there = types.ModuleType("openvino_telemetry") if sys.argv[1] == "there" else None
if there is not None:
    sys.modules["openvino_telemetry"] = there
openvino = openvino_engine.quiet_openvino()
assert openvino is sys.modules["openvino"] is openvino_engine.quiet_openvino()
assert openvino.Core().available_devices
assert sys.modules.get("openvino_telemetry") is there
assert not seen, seen
assert os.listdir(os.environ["HOME"]) == []
"""


@pytest.mark.skipif("openvino" not in GRAPHS, reason="OpenVINO has no wheel here")
@pytest.mark.parametrize("reporter", ["there", "unknown"])
def test_openvino_reports_its_use_to_nobody(environment, tmp_path, reporter):
    command = [sys.executable, "-W", "ignore", "-c", REPORTING, reporter]
    subprocess.run(command, env={**environment, "HOME": str(tmp_path)}, check=True, timeout=120)


def test_onnxruntime_reports_its_sessions_to_nobody(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    told = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: told.append("disabled"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: told.append("opened"))
    with pytest.raises(AttributeError):  # that is no session
        ONNXRuntimeEngine(b"")
    assert told == ["disabled", "opened"]


def test_engines_import_no_torch(environment):
    code = (
        "import sys; from pni_fast.features.engines import choose, networks, agreement;"
        "from pni_fast.features.engines import openvino_engine, onnxruntime_engine;"
        "assert not {'torch', 'timm', 'openvino', 'onnxruntime'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def has_bfloat16():
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize(
    ("name", "precision"), [("onnxruntime", "bf16"), ("openvino", "fp16"), ("openvino", "bf16")]
)
def test_precisions(model, name, precision):
    if precision == "bf16" and name == "openvino" and has_bfloat16():
        engine = open_engine(name, model, precision=precision)
        assert agreement(engine, open_engine(name, model), crops(1)).norm < 0.05
        return
    with pytest.raises(PniError, match=f"engine {name}.*fp32"):
        open_engine(name, model, precision=precision)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_cannot_be_run(name):
    with pytest.raises(ModelFileError) as error:
        open_engine(name, b"\x08\x08 no graph")
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_auto_takes_what_is_there(monkeypatch):
    assert choose_engine("auto") == "openvino"
    assert choose_engine("auto", "cuda:1") == "torch"
    for missing, expected in (({"openvino"}, "onnxruntime"), ({"openvino", "onnxruntime"}, "torch")):
        monkeypatch.setattr(choose, "installed", lambda name, missing=missing: name not in missing)
        assert choose_engine("auto") == expected
    monkeypatch.setattr(choose, "installed", lambda _: False)
    with pytest.raises(PniError, match="no engine is installed"):
        choose_engine("auto")
    for name in ENGINES[1:]:
        with pytest.raises(PniError, match=f"engine {name} asked for, but it is not installed"):
            choose_engine(name)


def test_names_that_make_no_sense():
    assert [choose_engine(name) for name in ENGINES[1:]] == list(ENGINES[1:])
    with pytest.raises(PniError, match="one of auto, torch, openvino, onnxruntime, got 'tensorrt'"):
        choose_engine("tensorrt")
    with pytest.raises(PniError, match="engine openvino runs on a CPU, got device 'cuda'"):
        choose_engine("openvino", "cuda")
